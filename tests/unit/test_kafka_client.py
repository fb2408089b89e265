"""What kafka-python must be told about its own parts."""

from typing import Any

from messaging.bus.kafka.client import KafkaPythonBus
from messaging.conf import KafkaSettings


def test_no_client_lets_a_broker_create_a_topic_that_is_gone() -> None:
    """With the broker's partitions and retention, and another identity."""
    bus = KafkaPythonBus(KafkaSettings(bootstrap_servers="127.0.0.1:1"))

    def connected(kafka_client: Any, **config: Any) -> Any:
        return kafka_client(bootstrap_servers=config["bootstrap_servers"])

    client = bus.client_of(connected)
    try:
        assert client.cluster.metadata_request().allow_auto_topic_creation is False
    finally:
        client.close()
