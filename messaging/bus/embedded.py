"""The embedded log: the contract of a bus on tables of the write database.

For one machine without Kafka. One publisher at a time holds the row of the log, so
offsets are dense and are committed in their order.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from django.db import InterfaceError, OperationalError, connections, transaction

from messaging.bus.base import (
    Bus,
    Identity,
    Message,
    Polled,
    Publisher,
    Record,
    Subscription,
    partition_of,
)
from messaging.bus.models import Log, LogMember, LogPartition, LogRecord
from messaging.exceptions import BusError, Loss, OffsetOutOfRange

DATABASE = "default"
HEARTBEAT_S = 1.0
DEAD_AFTER_S = 5.0
SHORTEST_POLL_S, LONGEST_POLL_S = 0.002, 0.05
READ_BATCH = 5_000


class EmbeddedBus(Bus):
    def __init__(self, topic: str, partitions: int) -> None:
        self.topic = topic
        self.partitions = partitions

    def ensure_topic(self) -> None:
        with bus_errors():
            if Log.objects.filter(topic=self.topic).exists():
                return
            with transaction.atomic(using=DATABASE):
                Log.objects.bulk_create(
                    [Log(topic=self.topic, identity=uuid4(), partitions=self.partitions)],
                    ignore_conflicts=True,
                )
                LogPartition.objects.bulk_create(
                    [LogPartition(topic=self.topic, partition=p) for p in range(self.partitions)],
                    ignore_conflicts=True,
                )

    def identity(self) -> Identity:
        with bus_errors():
            log = Log.objects.filter(topic=self.topic).first()
        if log is None:
            raise Loss(f"The embedded log has no topic {self.topic!r}: it was deleted.")
        if log.partitions != self.partitions:
            raise Loss(
                f"The topic {self.topic!r} has {log.partitions} partitions, KAFKA_PARTITIONS says "
                f"{self.partitions}: streams would be split. Set KAFKA_PARTITIONS={log.partitions}."
            )
        return Identity(cluster="embedded", topic=str(log.identity), partitions=log.partitions)

    def publisher(self) -> Publisher:
        return EmbeddedPublisher(self)

    def subscribe(self, group: str) -> Subscription:
        return EmbeddedSubscription(self, group)

    def begin_offsets(self) -> dict[int, int]:
        ends = self.end_offsets()
        with bus_errors():
            firsts = {
                partition: LogRecord.objects.filter(topic=self.topic, partition=partition)
                .order_by("offset")
                .values_list("offset", flat=True)
                .first()
                for partition in ends
            }
        return {p: end if firsts[p] is None else firsts[p] or 0 for p, end in ends.items()}

    def end_offsets(self) -> dict[int, int]:
        with bus_errors():
            rows = LogPartition.objects.filter(topic=self.topic)
            return dict(rows.values_list("partition", "next_offset"))

    def read(self, partition: int, start: int, stop: int) -> Iterator[list[Record]]:
        while start < stop:
            records = self.records(partition, start, min(READ_BATCH, stop - start))
            yield records
            start = records[-1].offset + 1

    def records(self, partition: int, start: int, count: int) -> list[Record]:
        """Up to `count` records from `start` on. Raises `OffsetOutOfRange` if there is none."""
        with bus_errors():
            rows = (
                LogRecord.objects.filter(topic=self.topic, partition=partition, offset__gte=start)
                .order_by("offset")
                .values_list("offset", "key", "value")[:count]
            )
            found = [Record(partition, o, _bytes(k), _bytes(v)) for o, k, v in rows]
        if not found or found[0].offset != start:
            first, end = self.begin_offsets()[partition], self.end_offsets()[partition]
            raise OffsetOutOfRange(partition, start, first, end)
        return found


class EmbeddedPublisher(Publisher):
    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus

    def publish(self, messages: Sequence[Message]) -> None:
        topic = self._bus.topic
        with bus_errors(), transaction.atomic(using=DATABASE, durable=True):
            if not Log.objects.select_for_update().filter(topic=topic).exists():
                raise BusError(f"The embedded log has no topic {topic!r}.")
            ends = self._bus.end_offsets()
            before = dict(ends)
            rows = []
            for key, value in messages:
                partition = partition_of(key, self._bus.partitions)
                rows.append(
                    LogRecord(
                        topic=topic,
                        partition=partition,
                        offset=ends[partition],
                        key=key.encode(),
                        value=value,
                    )
                )
                ends[partition] += 1
            LogRecord.objects.bulk_create(rows)
            for partition, end in ends.items():
                if end != before[partition]:
                    LogPartition.objects.filter(topic=topic, partition=partition).update(
                        next_offset=end
                    )

    def close(self) -> None:
        pass


class EmbeddedSubscription(Subscription):
    """A member of a group: live members, sorted, take the partitions in turn."""

    def __init__(self, bus: EmbeddedBus, group: str) -> None:
        self._bus = bus
        self._group = f"{bus.topic}/{group}"
        self._member = uuid4()
        self._assignment: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}  # of the partitions that were sought
        self._paused: set[int] = set()
        self._next_heartbeat = 0.0

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        deadline = time.monotonic() + timeout_s
        pause = SHORTEST_POLL_S
        while True:
            if self._assignment_changed():
                self._positions.clear()
                return Polled(self._assignment, True, {})
            records = self._take(max_records)
            if records or time.monotonic() >= deadline:
                return Polled(self._assignment, False, records)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL_S)

    def seek(self, partition: int, offset: int) -> None:
        self._positions[partition] = offset

    def pause(self, partition: int) -> None:
        self._paused.add(partition)

    def resume(self, partition: int) -> None:
        self._paused.discard(partition)

    def close(self) -> None:
        with bus_errors():
            LogMember.objects.filter(member=self._member).delete()

    def _take(self, max_records: int) -> dict[int, list[Record]]:
        ends = self._bus.end_offsets()
        found: dict[int, list[Record]] = {}
        for partition, position in self._positions.items():
            end = ends.get(partition, 0)
            if partition in self._paused or position == end or max_records <= 0:
                continue
            if position > end:
                raise OffsetOutOfRange(partition, position, 0, end)
            found[partition] = self._bus.records(partition, position, max_records)
            max_records -= len(found[partition])
            self._positions[partition] = found[partition][-1].offset + 1
        return found

    def _assignment_changed(self) -> bool:
        """Say that this member is alive, and see who else is, once a second."""
        now = time.monotonic()
        if now < self._next_heartbeat:
            return False
        self._next_heartbeat = now + HEARTBEAT_S
        wall = time.time()
        with bus_errors():
            LogMember.objects.update_or_create(
                member=self._member, defaults={"group": self._group, "seen_at": wall}
            )
            group = LogMember.objects.filter(group=self._group)
            alive = sorted(
                group.filter(seen_at__gt=wall - DEAD_AFTER_S).values_list("member", flat=True)
            )
        mine = alive.index(self._member)
        assignment = frozenset(
            p for p in range(self._bus.partitions) if p % len(alive) == mine
        )
        changed = assignment != self._assignment
        self._assignment = assignment
        return changed


@contextmanager
def bus_errors() -> Iterator[None]:
    """The database is the broker here: when it is away, the bus is."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if not connections[DATABASE].in_atomic_block:
            connections[DATABASE].close()
        raise BusError(f"the embedded log's database: {error}") from error


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
