"""When records were written, by kafka-python: the topic has an index by time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kafka import TopicPartition

from messaging.bus.base import LogRecord
from messaging.bus.kafka.errors import bus_errors

if TYPE_CHECKING:
    from messaging.bus.kafka.client import KafkaPythonBus

POLL_MS = 1_000


def written_since(
    bus: "KafkaPythonBus", partition: int, since: datetime
) -> Iterator[tuple[LogRecord, datetime]]:
    """As `Bus.written_since` has it."""
    at = TopicPartition(bus.topic, partition)
    with bus_errors(bus):
        consumer = bus.consumer(group_id=None)
        try:
            consumer.assign([at])
            first = consumer.offsets_for_times({at: int(since.timestamp() * 1_000)})[at]
            if first is None:
                return
            consumer.seek(at, first.offset)
            end = consumer.end_offsets([at])[at]
            while consumer.position(at) < end:
                for record in consumer.poll(timeout_ms=POLL_MS).get(at, ()):
                    written = datetime.fromtimestamp(record.timestamp / 1_000, UTC)
                    yield LogRecord(partition, record.offset, record.key, record.value), written
        finally:
            consumer.close()
