"""The errors of the client, kafka-python, as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError

from messaging.bus.kafka.refusals import explained
from messaging.exceptions import BusError, HistoryMismatch, OffsetOutOfRange

if TYPE_CHECKING:
    from messaging.bus.kafka.client import KafkaPythonBus


@contextmanager
def bus_errors(bus: "KafkaPythonBus") -> Iterator[None]:
    """The client's errors as ours. That a topic is gone is for `identity` to say: a broker
    that has not heard of a new topic yet answers the same."""
    try:
        yield
    except OffsetOutOfRangeError as error:
        ((at, offset),) = error.args[0].items()
        first, end = bus.begin_offsets()[at.partition], bus.end_offsets()[at.partition]
        raise OffsetOutOfRange(at.partition, offset, first, end) from error
    except LogTruncationError as error:
        raise HistoryMismatch(f"The log was cut off behind what was read: {error}") from error
    except (KafkaError, OSError) as error:
        raise BusError(f"Kafka: {explained(error, bus.topic, bus.user)}") from error
