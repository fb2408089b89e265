"""Publishing by confluent-kafka: durable when it is acknowledged, or nothing goes out any more."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered

from messaging.bus.base import Message, Place, Publisher, partition_of
from messaging.bus.kafka.confluent.errors import Trouble, bus_errors, said
from messaging.bus.kafka.records import headers, require_sizes
from messaging.exceptions import BusError

if TYPE_CHECKING:
    from messaging.bus.kafka.confluent.client import ConfluentBus

WAIT_S = 0.1
PRODUCER = {
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,  # after a message that failed, no later one goes out
    "acks": "all",
    "linger.ms": 5,
    "batch.size": 256 * 1024,
    "compression.type": "lz4",
    "message.max.bytes": 4 * 1024 * 1024,
    "message.timeout.ms": 0,  # else batches expire one by one, and later ones go out without them
}


class _Batch:
    """Messages that were handed over together, and what became of them."""

    def __init__(self, partitions: list[int]) -> None:
        self.left = len(partitions)
        self.error: KafkaError | None = None
        self._partitions = partitions
        self._offsets: dict[int, list[int | None]] = {p: [] for p in set(partitions)}

    def delivered(self, error: KafkaError | None, message: Delivered) -> None:
        """Called in the order of each partition."""
        self.left -= 1
        if error is not None:
            self.error = self.error or error
        else:
            self._offsets[message.partition()].append(message.offset())

    def places(self) -> list[Place]:
        offsets = {p: iter(found) for p, found in self._offsets.items()}
        return [
            Place(p, -1 if (offset := next(offsets[p])) is None else offset)
            for p in self._partitions
        ]


class ConfluentPublisher(Publisher):
    def __init__(self, bus: "ConfluentBus") -> None:
        self._bus = bus
        self._newest: _Batch | None = None
        self._trouble = Trouble()
        with bus_errors(bus, self._trouble):
            self._producer: Producer | None = Producer(bus.config(self._trouble, PRODUCER))

    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        require_sizes(messages)
        batch = self._newest = _Batch(
            [partition_of(key, self._bus.partitions) for key, *_ in messages]
        )
        with self._closing_on_error():
            self._send(messages, batch)

        def wait() -> list[Place]:
            with self._closing_on_error():
                return self._wait(batch)

        return wait

    def _send(self, messages: Sequence[Message], batch: _Batch) -> None:
        producer, topic, delivered = self._open(), self._bus.topic, batch.delivered
        deadline = time.monotonic() + self._bus.publish_timeout_s
        for (key, value, signature), partition in zip(messages, batch._partitions, strict=True):
            while True:
                try:
                    producer.produce(
                        topic,
                        value,
                        key.encode(),
                        partition,
                        delivered,
                        headers=headers(signature),
                    )
                    break
                except BufferError:  # it holds as many as it may
                    if time.monotonic() > deadline:
                        raise BusError(self._unanswered()) from None
                    producer.poll(WAIT_S)
                except KafkaException:
                    producer.poll(0)  # raises what had broken it before
                    raise

    def _wait(self, batch: _Batch) -> list[Place]:
        producer = self._open()
        deadline = time.monotonic() + self._bus.publish_timeout_s
        while batch.left and batch.error is None:
            if time.monotonic() > deadline:
                raise BusError(self._unanswered())
            if batch is self._newest:
                # Nothing follows that could fill the client's batches: do not let them linger.
                producer.flush(WAIT_S)
            else:
                producer.poll(WAIT_S)
        if batch.error is not None:
            raise BusError(f"not acknowledged: {self._said(batch.error)}")
        return batch.places()

    def _open(self) -> Producer:
        if self._producer is None:
            raise BusError("Kafka: this publisher is closed.")
        return self._producer

    def _unanswered(self) -> str:
        error = self._trouble.recent()
        why = self._said(error) if error else f"no answer for {self._bus.publish_timeout_s:g} s"
        return f"not acknowledged: {why}"

    def _said(self, error: KafkaError) -> str:
        return said(self._bus, error, self._trouble, writing=True)

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            with bus_errors(self._bus, self._trouble, writing=True):
                yield
        except BaseException:
            self.close()  # what was not acknowledged must not go out behind the caller's back
            raise

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaException):  # what had already broken it, said once more
                producer.purge()
                producer.flush(0)
