"""Changes of a Kafka topic, with kafka-python."""

from contextlib import closing

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType


def add_partition(servers: str, topic: str) -> None:
    with closing(KafkaConsumer(bootstrap_servers=servers)) as consumer:
        count = len(consumer.partitions_for_topic(topic) or ())
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        admin.create_partitions({topic: count + 1})


def set_retention(servers: str, topic: str, milliseconds: int) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": str(milliseconds)})
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        admin.alter_configs([resource])


def repeat_in_a_transaction(servers: str, topic: str) -> None:
    """Publish the first record of some partition again, in a transaction."""
    record = _a_record(servers, topic)
    if record is None:
        raise TimeoutError(f"{topic} holds no record to repeat")
    producer = KafkaProducer(
        bootstrap_servers=servers, transactional_id="history", request_timeout_ms=10_000
    )
    with closing(producer):
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, value=record.value, key=record.key, partition=record.partition)
        producer.commit_transaction()


def _a_record(servers, topic):  # type: ignore[no-untyped-def]
    with closing(KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        for records in consumer.poll(timeout_ms=30_000, max_records=1).values():
            return records[0]
    return None
