"""The errors of the client, confluent-kafka, as ours."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from messaging.bus.kafka.refusals import worded
from messaging.exceptions import BusError

if TYPE_CHECKING:
    from messaging.bus.kafka.confluent.client import ConfluentBus

RECENT_S = 30.0
UNTOLD = (KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)  # they do not tell what is wrong


class Trouble:
    """What a client reported last of the way to the brokers, apart from any request."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._at = 0.0

    def report(self, error: KafkaError) -> None:
        if error.code() not in UNTOLD or not self.recent():
            self._last, self._at = error, time.monotonic()

    def recent(self) -> KafkaError | None:
        return self._last if time.monotonic() - self._at < RECENT_S else None


def said(bus: "ConfluentBus", error: KafkaError, trouble: Trouble, *, writing: bool = False) -> str:
    """The error, and what to do about it where that is known."""
    if error.code() in (*UNTOLD, KafkaError._FATAL):
        error = trouble.recent() or error
    name = "".join(part.capitalize() for part in error.name().split("_"))
    return worded(f"{name}: {error.str()}", bus.topic, bus.user, writing=writing)


@contextmanager
def bus_errors(bus: "ConfluentBus", trouble: Trouble, *, writing: bool = False) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise BusError(f"Kafka: {said(bus, error.args[0], trouble, writing=writing)}") from error
