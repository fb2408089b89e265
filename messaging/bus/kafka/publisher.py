"""Publishing by kafka-python: durable when it is acknowledged, or nothing goes out any more."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from messaging.bus.base import Message, Place, Publisher, partition_of
from messaging.bus.kafka.errors import bus_errors
from messaging.bus.kafka.records import headers, require_sizes
from messaging.bus.kafka.refusals import explained
from messaging.exceptions import BusError

if TYPE_CHECKING:
    from messaging.bus.kafka.client import KafkaPythonBus

log = logging.getLogger("postlog.kafka")

CLOSE_TIMEOUT_S = 5


class KafkaPublisher(Publisher):
    def __init__(self, bus: "KafkaPythonBus") -> None:
        self._topic, self._partitions = bus.topic, bus.partitions
        self._at = [TopicPartition(bus.topic, partition) for partition in range(bus.partitions)]
        self._bus = bus
        self._newest: list[Any] = []
        self._producer = bus.client_of(
            KafkaProducer,
            metrics_enabled=False,
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            batch_size=256 * 1024,
            compression_type="lz4",
            max_request_size=4 * 1024 * 1024,
            allow_auto_create_topics=False,
            # Else batches expire one by one, and later ones go out without them.
            delivery_timeout_ms=2**31 - 1,
            max_block_ms=int(bus.publish_timeout_s * 1000),
        )

    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        require_sizes(messages)
        with self._closing_on_error():
            futures = self._newest = self._send(messages)

        def wait() -> list[Place]:
            with self._closing_on_error():
                return self._wait(futures)

        return wait

    def _send(self, messages: Sequence[Message]) -> list[Any]:
        """As the client's own `send` hands records to its thread. That asks again for each record
        what holds for all of them, which took a third of its time (3.0.12, tried)."""
        if self._producer._closed:
            raise BusError("Kafka: this publisher was closed")
        known = self._producer.partitions_for(self._topic)
        append, wake = self._producer._accumulator.append, self._producer._sender.wakeup
        futures = []
        for key, value, signature in messages:
            if (partition := partition_of(key, self._partitions)) not in known:
                raise BusError(
                    f"Kafka: the topic is not as it was: it has no partition {partition}"
                )
            future, is_full, is_new, _ = append(
                self._at[partition], None, key.encode(), value, headers(signature)
            )
            if is_full or is_new:
                wake()
            futures.append(future)
        return futures

    def _wait(self, futures: list[Any]) -> list[Place]:
        if futures is self._newest:
            # Nothing follows that could fill the client's batches: do not let them linger.
            self._producer.flush(timeout=self._bus.publish_timeout_s)
        deadline = time.monotonic() + self._bus.publish_timeout_s
        for future in futures:
            if not future.is_done:
                future.get(timeout=max(0.001, deadline - time.monotonic()))
            if not future.succeeded():
                why = explained(future.exception, self._topic, self._bus.user, writing=True)
                raise BusError(f"not acknowledged: {why}")
        return [Place(future.value.partition, future.value.offset) for future in futures]

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            with bus_errors(self._bus):
                yield
        except BaseException:
            self.close()  # what was not acknowledged must not go out behind the caller's back
            raise

    def close(self) -> None:
        # close(timeout=0) of the client flushes first, fails at that, and leaves its thread
        # running, which then sends what was given up (3.0.12, tried). So stop the thread first.
        sender = self._producer._sender
        sender.force_close()
        sender.join(CLOSE_TIMEOUT_S)
        if sender.is_alive():  # it waits for a connection; take away what it could send then
            self._producer._accumulator.abort_incomplete_batches()
        try:
            self._producer.close(timeout=0)
        except KafkaError as error:
            log.warning("closing a producer: %s", error)
