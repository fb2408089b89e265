"""Reading by kafka-python: by offset alone, or as a member of a group."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from messaging.bus.base import CountByBytes, Fetched, LogRecord, Polled, Reader, Subscription
from messaging.bus.kafka.errors import bus_errors
from messaging.bus.kafka.records import asked_for_another, signature

if TYPE_CHECKING:
    from messaging.bus.kafka.client import KafkaPythonBus

log = logging.getLogger("postlog.kafka")

CLOSE_TIMEOUT_S = 5
WAIT_S = 0.1  # the longest wait inside the client; a new assignment is reported after it
# A reader's first polls find nothing to fetch before it has heard who leads a partition. The client
# then sleeps for as long as before a retry, by default 100 ms, while nobody publishes or consumes.
RETRY_MS = 10
GROUP = {
    "session_timeout_ms": 10_000,
    # A member hears that another came or left with the answer to its heartbeat.
    "heartbeat_interval_ms": 1_000,
    "max_poll_interval_ms": 300_000,
}


class KafkaReader(Reader):
    def __init__(self, bus: "KafkaPythonBus", positions: Mapping[int, int]) -> None:
        self._bus = bus
        self._consumer = bus.consumer(group_id=None, retry_backoff_ms=RETRY_MS)
        at = {TopicPartition(bus.topic, p): offset for p, offset in positions.items()}
        self._consumer.assign(list(at))
        for partition, offset in at.items():
            self._consumer.seek(partition, offset)
        self._reported = dict(positions)
        self._count = CountByBytes()

    def poll(self, *, timeout_s: float, max_records: int) -> Fetched:
        most = self._count.count(max_records)
        with bus_errors(self._bus):
            found = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=most)
        self._count.came(_sizes(found))
        return _fetched(self._consumer, found, self._reported)

    def pause(self, partition: int) -> None:
        self._consumer.pause(TopicPartition(self._bus.topic, partition))

    def close(self) -> None:
        self._consumer.close()


class KafkaSubscription(Subscription):
    def __init__(self, bus: "KafkaPythonBus", group: str) -> None:
        self._bus = bus
        self._paused: set[int] = set()
        self._reported: dict[int, int] = {}  # the next offset of each partition that was sought
        self._count = CountByBytes()
        assignor = CooperativeStickyAssignor()
        self._consumer = bus.consumer(
            group_id=group, partition_assignment_strategy=(assignor,), **GROUP
        )
        self._listener = _Listener(self._consumer, assignor)
        self._consumer.subscribe([bus.topic], listener=self._listener)

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            with bus_errors(self._bus):
                found = self._consumer.poll(
                    timeout_ms=int(min(left, WAIT_S) * 1000),
                    max_records=self._count.count(max_records),
                )
            self._count.came(_sizes(found))
            self._finish_joining()
            if self._listener.changed:
                return self._changed()
            if found or not left:
                fetched = _fetched(self._consumer, found, self._reported)
                return Polled(self._assignment(), False, *fetched)

    def is_joining(self) -> bool:
        """A join that ends between two polls is begun again by the next one (3.0.12; tried)."""
        return bool(self._consumer._coordinator.need_rejoin())

    def _finish_joining(self) -> None:
        """Ask again for a join that took longer than the poll.

        When it was new metadata that asked for it, the client forgets that it waits for an
        answer, and the member stays without partitions for ever (3.0.12, 6 of 60 starts; tried).
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _changed(self) -> Polled:
        """Hold all back until they are sought. What this poll found is read again."""
        self._listener.changed = False
        self._consumer.pause(*self._consumer.assignment())
        assignment = self._assignment()
        self._paused &= assignment  # a partition that comes back later is not paused
        self._reported.clear()
        return Polled(assignment, True, {}, {})

    def _assignment(self) -> frozenset[int]:
        # The group hands out all partitions of the topic. Those beyond the configured count stay
        # with the member that got them, paused.
        count = self._bus.partitions
        return frozenset(at.partition for at in self._consumer.assignment() if at.partition < count)

    def seek(self, partition: int, offset: int) -> None:
        at = self._at(partition)
        self._consumer.seek(at, offset)
        self._reported[partition] = offset
        if partition not in self._paused:
            self._resume(at)

    def pause(self, partition: int) -> None:
        self._paused.add(partition)
        self._consumer.pause(self._at(partition))

    def resume(self, partition: int) -> None:
        self._paused.discard(partition)
        self._resume(self._at(partition))

    def _resume(self, at: TopicPartition) -> None:
        """Have it fetched again from where it stands, without what the client has put aside.

        While a partition is paused, the client keeps aside what it had fetched of it, and fetches
        no more of it. It takes that back, of one partition a poll, only if it has handed out
        nothing since the last pause; otherwise the partition stands still for ever (3.0.12; tried).
        """
        self._consumer._fetcher._paused_partition_records.pop(at, None)
        self._consumer.resume(at)

    def close(self) -> None:
        try:
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_S * 1000)
        except KafkaError as error:
            log.warning("leaving the group: %s", error)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._bus.topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # comes without types
    """Only sets a flag, and holds new partitions back until they are sought.

    Both change the client's own state; the checkpoints are read after the poll.
    """

    def __init__(self, consumer: Any, assignor: Any) -> None:
        self._consumer = consumer
        self._assignor = assignor
        self.changed = False

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.changed = True

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.changed = True
        for at in assigned:
            self._consumer.seek(at, 0)
            self._consumer.pause(at)

    def on_partitions_lost(self, lost: Any) -> None:
        # The client would still claim what it owned before it was thrown out. Where two
        # members claim one partition, the leader can leave it to neither.
        self._assignor.member_assignment = None
        self.on_partitions_revoked(lost)


def _sizes(found: Any) -> list[int]:
    return [len(record.value or b"") for part in found.values() for record in part]


def _fetched(consumer: Any, found: Any, reported: dict[int, int]) -> Fetched:
    """What a poll gave, counted from the offsets reported last, which are moved on.

    The client reads on from its position without a break and moves it over control records
    and what compaction removed. So what it did not return on the way holds no record.
    """
    records = {at.partition: _records(part, reported[at.partition]) for at, part in found.items()}
    for partition, part in records.items():
        reported[partition] = part[-1].offset + 1
    passed = {}
    for at, state in consumer._subscription.assignment.items():
        offset = reported.get(at.partition)
        if offset is None or at.partition in records or state.position is None:
            continue
        if state.position.offset > offset:
            passed[at.partition] = reported[at.partition] = state.position.offset
    return Fetched(records, passed)


def _records(part: Any, expected: int) -> list[LogRecord]:
    if part[0].offset == expected and part[-1].offset == expected + len(part) - 1:
        return [
            LogRecord(r.partition, r.offset, r.key, r.value, 0, signature(r.headers)) for r in part
        ]
    records = []
    for r in part:
        if r.offset < expected:
            raise asked_for_another(r.partition, expected, r.offset)
        gap, signed = r.offset - expected, signature(r.headers)
        records.append(LogRecord(r.partition, r.offset, r.key, r.value, gap, signed))
        expected = r.offset + 1
    return records
