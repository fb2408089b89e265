"""What kafka-python must be told about its own parts."""

from types import SimpleNamespace
from typing import Any

import pytest

from messaging.bus.base import Message
from messaging.bus.kafka.client import KafkaPythonBus
from messaging.bus.kafka.publisher import KafkaPublisher
from messaging.conf import KafkaSettings
from messaging.exceptions import BusError

BUS = KafkaPythonBus(KafkaSettings(bootstrap_servers="127.0.0.1:1"))


def connected() -> Any:
    """What a client of kafka-python connects by; it has not connected yet."""
    return BUS.client_of(lambda kafka_client, **_: kafka_client(bootstrap_servers=["127.0.0.1:1"]))


def test_no_client_lets_a_broker_create_a_topic_that_is_gone() -> None:
    """With the broker's partitions and retention, and another identity."""
    client = connected()
    try:
        assert client.cluster.metadata_request().allow_auto_topic_creation is False
    finally:
        client.close()


def test_a_reader_that_knows_no_leader_yet_asks_again_soon() -> None:
    """While it waits, its process publishes or consumes nothing."""
    client = connected()
    try:
        assert client.cluster.refresh_backoff() <= 10
    finally:
        client.close()


def test_nothing_is_handed_over_for_a_partition_that_the_topic_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed_over: list[Any] = []
    producer = SimpleNamespace(
        _closed=False,
        partitions_for=lambda _: {0, 1},
        _accumulator=SimpleNamespace(append=lambda *record: handed_over.append(record)),
        _sender=SimpleNamespace(wakeup=lambda: None),
    )
    monkeypatch.setattr(BUS, "client_of", lambda *_, **__: producer)
    monkeypatch.setattr(KafkaPublisher, "close", lambda _: None)
    key = "01900000-0000-7000-8000-000000000037"  # of partition 8
    with pytest.raises(BusError, match="no partition 8"):
        BUS.publisher().send([Message(key, b"{}")])
    assert not handed_over
