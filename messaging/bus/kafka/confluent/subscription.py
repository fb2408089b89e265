"""Reading by confluent-kafka: by offset alone, or as a member of a group."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from messaging.bus.base import CountByBytes, Fetched, Polled, Reader, Subscription
from messaging.bus.kafka.confluent.errors import Trouble, bus_errors, said
from messaging.bus.kafka.confluent.positions import Fault, Positions
from messaging.exceptions import BusError, HistoryMismatch, OffsetOutOfRange

if TYPE_CHECKING:
    from messaging.bus.kafka.confluent.client import ConfluentBus

log = logging.getLogger("postlog.kafka")

WAIT_S = 0.1  # the longest wait inside the client; a new assignment is reported after it
READER = "postlog.reader"  # the client wants a group's name, and joins none to read by offset
CONSUMER = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_uncommitted",  # offsets are dense but for control records
    "enable.partition.eof": True,  # tells how far the position moved over offsets without records
    "max.partition.fetch.bytes": 1024 * 1024,  # compressed; a larger record comes all the same
    "fetch.max.bytes": 8 * 1024 * 1024,
    "queued.max.messages.kbytes": 8 * 1024,
    "fetch.queue.backoff.ms": 10,  # after which it looks again whether that much is still waiting
}
GROUP = {
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 10_000,
    # A member hears that another came or left with the answer to its heartbeat.
    "heartbeat.interval.ms": 1_000,
    "max.poll.interval.ms": 300_000,
}


class _Fetcher:
    """A consumer of the client, and where it stands."""

    def __init__(
        self, bus: "ConfluentBus", config: dict[str, Any], ignored: tuple[int, ...] = ()
    ) -> None:
        self._bus = bus
        self._ignored = (KafkaError._MAX_POLL_EXCEEDED, *ignored)  # it joins again by itself
        self._count = CountByBytes()
        self.positions = Positions()
        self.trouble = Trouble()
        with bus_errors(bus, self.trouble):
            self.consumer = Consumer(bus.config(self.trouble, {**CONSUMER, **config}))

    def fetch(self, timeout_s: float, max_records: int) -> Fetched:
        self._raise(self.positions.fault())
        most = self._count.count(max_records)
        with bus_errors(self._bus, self.trouble):
            found = self.consumer.consume(most, 0)
            if not found and not self.positions.has_more():
                # A count would have it wait until so many have come.
                found = [one for one in [self.consumer.poll(timeout_s)] if one is not None]
                found += self.consumer.consume(most - 1, 0) if found else []
        fetched = self.positions.take(found)
        if not fetched.records and not fetched.passed:
            self._raise(self.positions.fault())
        self._count.came([len(r.value or b"") for part in fetched.records.values() for r in part])
        return fetched

    def _raise(self, fault: Fault | None) -> None:
        if fault is None or (code := fault.error.code()) in self._ignored:
            return
        if code == KafkaError._AUTO_OFFSET_RESET:
            at = fault.partition
            first, end = self._bus.begin_offsets()[at], self._bus.end_offsets()[at]
            raise OffsetOutOfRange(at, fault.offset, first, end)
        if code == KafkaError._LOG_TRUNCATION:
            what = f"The log was cut off behind what was read: {fault.error.str()}"
            raise HistoryMismatch(what)
        raise BusError(f"Kafka: {said(self._bus, fault.error, self.trouble)}")


class ConfluentReader(Reader):
    def __init__(self, bus: "ConfluentBus", positions: Mapping[int, int]) -> None:
        self._bus = bus
        # Whoever only reads needs no right on any group.
        ignored = (KafkaError.GROUP_AUTHORIZATION_FAILED,)
        self._fetcher = _Fetcher(bus, {"group.id": READER}, ignored)
        for partition, offset in positions.items():
            self._fetcher.positions.sought(partition, offset)
        at = [TopicPartition(bus.topic, p, offset) for p, offset in positions.items()]
        self._fetcher.consumer.assign(at)

    def poll(self, *, timeout_s: float, max_records: int) -> Fetched:
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            fetched = self._fetcher.fetch(left, max_records)
            if fetched.records or fetched.passed or not left:
                return fetched

    def pause(self, partition: int) -> None:
        self._fetcher.consumer.pause([TopicPartition(self._bus.topic, partition)])

    def close(self) -> None:
        self._fetcher.consumer.close()


class ConfluentSubscription(Subscription):
    def __init__(self, bus: "ConfluentBus", group: str) -> None:
        self._bus = bus
        self._paused: set[int] = set()
        self._owned: set[int] = set()  # what the group gave this member
        self._fetched: set[int] = set()  # those that were sought: only they are fetched
        self._changed = False
        self._joined = False
        self._fetcher = _Fetcher(bus, {**GROUP, "group.id": group})
        self._consumer = self._fetcher.consumer
        self._consumer.subscribe(
            [bus.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            fetched = self._fetcher.fetch(min(left, WAIT_S), max_records)
            if self._changed:  # what this poll found is read again
                self._changed = False
                self._fetcher.positions.forget()
                return Polled(self._assignment(), True, {}, {})
            if fetched.records or fetched.passed or not left:
                return Polled(self._assignment(), False, *fetched)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take note of them, and fetch none before it is sought: there is no committed offset."""
        consumer.incremental_assign([])
        self._owned |= {at.partition for at in partitions}
        self._changed |= bool(partitions) or not self._joined
        self._joined = True

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {at.partition for at in partitions}
        consumer.incremental_unassign([self._at(p) for p in gone & self._fetched])
        self._owned -= gone
        self._fetched -= gone
        self._paused -= gone  # a partition that comes back later is not paused
        self._changed = True

    def _assignment(self) -> frozenset[int]:
        # The group hands out all partitions of the topic. Those beyond the configured count stay
        # with the member that got them, and are never sought.
        return frozenset(p for p in self._owned if p < self._bus.partitions)

    def seek(self, partition: int, offset: int) -> None:
        if partition not in self._owned:
            raise ValueError(f"Partition {partition} is not assigned.")
        at = self._at(partition, offset)
        with bus_errors(self._bus, self._fetcher.trouble):
            if partition in self._fetched:
                self._consumer.incremental_unassign([at])
            self._consumer.incremental_assign([at])
            if partition in self._paused:
                self._consumer.pause([at])
            else:  # the client forgets no pause, not even of a partition that was another's since
                self._consumer.resume([at])
        self._fetched.add(partition)
        self._fetcher.positions.sought(partition, offset)

    def pause(self, partition: int) -> None:
        self._paused.add(partition)
        if partition in self._fetched:
            self._consumer.pause([self._at(partition)])

    def resume(self, partition: int) -> None:
        self._paused.discard(partition)
        if partition in self._fetched:
            self._consumer.resume([self._at(partition)])

    def close(self) -> None:
        try:
            self._consumer.close()
        except KafkaException as error:
            log.warning("leaving the group: %s", error)

    def _at(self, partition: int, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._bus.topic, partition, offset)
