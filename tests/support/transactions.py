"""Kafka transactions on the topic, as another program's exactly-once producer makes them."""

from collections.abc import Sequence
from uuid import uuid4

from kafka import KafkaProducer

from messaging.bus import current_bus
from messaging.bus.base import Message, partition_of
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode


def transaction(mode: Mode, messages: Sequence[Message], *, commit: bool = True) -> None:
    """Write the messages in one transaction, whose marker takes an offset in each partition.
    The broker writes the markers after it has answered: returns when they are there."""
    producer = KafkaProducer(
        bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"],
        transactional_id=f"test-{uuid4()}",
        metrics_enabled=False,
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        sent = [
            producer.send(
                mode.env["KAFKA_TOPIC"],
                key=key.encode(),
                value=value,
                partition=partition_of(key, 12),
            )
            for key, value, _ in messages
        ]
        producer.flush()
        producer.commit_transaction() if commit else producer.abort_transaction()
    finally:
        producer.close()
    last = {place.partition: place.offset for place in (one.get() for one in sent)}
    wait_until(lambda: marked(last), "the broker has written the markers")


def marked(last: dict[int, int]) -> bool:
    """Whether something follows the last record of each partition."""
    ends = current_bus().end_offsets()
    return all(ends[partition] > offset + 1 for partition, offset in last.items())
