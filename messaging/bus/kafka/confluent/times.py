"""When records were written, by confluent-kafka: the topic has an index by time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from messaging.bus.base import LogRecord
from messaging.bus.kafka.confluent.errors import Trouble, bus_errors
from messaging.bus.kafka.confluent.subscription import CONSUMER, READER

if TYPE_CHECKING:
    from messaging.bus.kafka.confluent.client import ConfluentBus

TIMEOUT_S = 10.0


def written_since(
    bus: "ConfluentBus", partition: int, since: datetime
) -> Iterator[tuple[LogRecord, datetime]]:
    """As `Bus.written_since` has it."""
    trouble = Trouble()
    with bus_errors(bus, trouble):
        consumer = Consumer(bus.config(trouble, {**CONSUMER, "group.id": READER}))
        try:
            asked = TopicPartition(bus.topic, partition, int(since.timestamp() * 1_000))
            (first,) = consumer.offsets_for_times([asked], TIMEOUT_S)
            if first.offset < 0:  # the end: there is none
                return
            consumer.assign([first])
            while (message := consumer.poll(TIMEOUT_S)) is not None:
                if (error := message.error()) is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    raise KafkaException(error)
                record = LogRecord(partition, message.offset(), message.key(), message.value())
                yield record, datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC)
        finally:
            consumer.close()
