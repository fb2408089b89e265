"""Kafka transactions on the topic, as another program's exactly-once producer makes them."""

from collections.abc import Sequence
from uuid import uuid4

from kafka import KafkaProducer

from messaging.bus.base import Message, partition_of
from tests.support.modes import Mode


def transaction(mode: Mode, messages: Sequence[Message], *, commit: bool = True) -> None:
    """Write the messages in one transaction, whose marker takes an offset in each partition."""
    producer = KafkaProducer(
        bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"],
        transactional_id=f"test-{uuid4()}",
        metrics_enabled=False,
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        for key, value in messages:
            producer.send(
                mode.env["KAFKA_TOPIC"],
                key=key.encode(),
                value=value,
                partition=partition_of(key, 12),
            )
        producer.flush()
        producer.commit_transaction() if commit else producer.abort_transaction()
    finally:
        producer.close()
