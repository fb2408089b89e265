"""The embedded log: the contract of a bus on tables of the write database.

For one machine without Kafka. One publisher at a time holds the row of the log, so
offsets are dense and are committed in their order.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import connections, transaction
from django.db.models import Q

from messaging.bus.base import (
    BATCH_BYTES,
    Bus,
    Fetched,
    Identity,
    LogRecord,
    Message,
    Place,
    Polled,
    Publisher,
    Reader,
    Subscription,
    partition_of,
)
from messaging.bus.database_errors import bus_errors
from messaging.bus.models import (
    ALIVE,
    BEAT,
    Log,
    LogMember,
    LogPartition,
    add_records,
    beginnings_of,
    ends_of,
    move_ends,
    records_since,
    records_up_to,
)
from messaging.conf import PARTITIONS, write_alias
from messaging.dialect import dialect_of
from messaging.dialect.changes import Changes
from messaging.dialect.values import SecondsNow, as_uuid, db_uuid
from messaging.exceptions import BusError, HistoryMismatch, OffsetOutOfRange

log = logging.getLogger("postlog.embedded")

HEARTBEAT_S, DEAD_AFTER_S, FORGOTTEN_AFTER_S = 1.0, 5.0, 60.0


class EmbeddedBus(Bus):
    def __init__(self, topic: str, partitions: int) -> None:
        self.topic = topic
        self.partitions = partitions

    def ensure_topic(self) -> None:
        with bus_errors():
            if Log.objects.filter(topic=self.topic).exists():
                return
            with transaction.atomic(using=write_alias()):
                Log.objects.bulk_create(
                    [Log(topic=self.topic, identity=uuid4(), partitions=self.partitions)],
                    ignore_conflicts=True,
                )
                made = Log.objects.get(topic=self.topic)  # maybe by another process, otherwise
                LogPartition.objects.bulk_create(
                    [LogPartition(topic=self.topic, partition=p) for p in range(made.partitions)],
                    ignore_conflicts=True,
                )

    def identity(self) -> Identity:
        with bus_errors():
            topic = Log.objects.filter(topic=self.topic).first()
        if topic is None:
            raise HistoryMismatch(f"The embedded log has no topic {self.topic!r}: it was deleted.")
        self.require_count(topic.partitions)
        return Identity(cluster="embedded", topic=str(topic.identity), partitions=topic.partitions)

    def require_count(self, partitions: int) -> None:
        if partitions != self.partitions:
            raise HistoryMismatch(
                f"The topic {self.topic!r} has {partitions} partitions, {PARTITIONS} says "
                f"{self.partitions}: streams would be split. Set that to {partitions}."
            )

    def publisher(self) -> Publisher:
        return EmbeddedPublisher(self)

    def subscribe(self, group: str) -> Subscription:
        return EmbeddedSubscription(self, group)

    def begin_offsets(self) -> dict[int, int]:
        with bus_errors(), connections[write_alias()].cursor() as cursor:
            return beginnings_of(cursor, self.topic)

    def end_offsets(self) -> dict[int, int]:
        with bus_errors(), connections[write_alias()].cursor() as cursor:
            return ends_of(cursor, self.topic)

    def reader(self, positions: Mapping[int, int]) -> Reader:
        return EmbeddedReader(self, positions)

    def records(self, partition: int, start: int, count: int, size: int) -> list[LogRecord]:
        """Up to `count` records from `start` on, of about `size` bytes. Raises `OffsetOutOfRange`
        if there is none."""
        with bus_errors(), connections[write_alias()].cursor() as cursor:
            rows = records_up_to(cursor, self.topic, partition, start, count, size)
        found = [
            LogRecord(partition, offset, _bytes(key), _bytes(value), 0, _bytes(signature))
            for offset, key, value, signature in rows
        ]
        if not found or found[0].offset != start:
            raise self.out_of_range(partition, start)
        if found[-1].offset != start + len(found) - 1:
            where = f"partition {partition} between offsets {start} and {found[-1].offset}"
            raise HistoryMismatch(
                f"Records are missing in {where}. Run `manage.py rebuild --from store`."
            )
        return found

    def written_since(
        self, partition: int, since: datetime
    ) -> Iterator[tuple[LogRecord, datetime]]:
        with bus_errors():
            for offset, key, value, at in records_since(self.topic, partition, since):
                yield LogRecord(partition, offset, _bytes(key), _bytes(value)), at

    def out_of_range(self, partition: int, offset: int) -> HistoryMismatch:
        first, end = self.begin_offsets().get(partition), self.end_offsets().get(partition)
        if first is None or end is None:
            return HistoryMismatch(
                f"The embedded log has no partition {partition} of {self.topic!r} any more."
            )
        return OffsetOutOfRange(partition, offset, first, end)


class EmbeddedPublisher(Publisher):
    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus

    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        topic, connection = self._bus.topic, connections[write_alias()]
        with (
            bus_errors(),
            transaction.atomic(using=write_alias(), durable=True),
            connection.cursor() as cursor,
        ):
            lock = Log.objects.select_for_update().filter(topic=topic)
            partitions = lock.values_list("partitions", flat=True).first()
            if partitions is None:
                raise BusError(f"The embedded log has no topic {topic!r}.")
            self._bus.require_count(partitions)
            ends = ends_of(cursor, topic)
            places, rows = [], []
            for key, value, signature in messages:
                partition = partition_of(key, partitions)
                places.append(Place(partition, ends[partition]))
                rows.append((topic, *places[-1], key.encode(), value, signature))
                ends[partition] += 1
            add_records(connection, cursor, rows)
            move_ends(cursor, topic, {partition: ends[partition] for partition, _ in places})
        return lambda: places

    def close(self) -> None:
        pass


class EmbeddedReader(Reader):
    def __init__(self, bus: EmbeddedBus, positions: Mapping[int, int]) -> None:
        self._bus = bus
        self.positions = dict(positions)
        self.paused: set[int] = set()
        self._turn = 0  # which partition is read first
        self.changes = Changes(write_alias())

    def poll(self, *, timeout_s: float, max_records: int) -> Fetched:
        deadline = time.monotonic() + timeout_s
        while not (records := self.take(max_records)) and time.monotonic() < deadline:
            self.changes.wait(deadline - time.monotonic())
        return Fetched(records, {})

    def pause(self, partition: int) -> None:
        self.paused.add(partition)

    def take(self, max_records: int) -> dict[int, list[LogRecord]]:
        """What is there now."""
        ends = self._bus.end_offsets()
        found: dict[int, list[LogRecord]] = {}
        left = BATCH_BYTES
        self._turn += 1  # else a busy partition would keep the ones after it waiting
        partitions = sorted(self.positions)
        first = self._turn % max(1, len(partitions))
        for partition in partitions[first:] + partitions[:first]:
            position, end = self.positions[partition], ends.get(partition, 0)
            if partition in self.paused or position == end or max_records <= 0 or left <= 0:
                continue
            if position > end:
                raise self._bus.out_of_range(partition, position)
            found[partition] = self._bus.records(partition, position, max_records, left)
            max_records -= len(found[partition])
            left -= sum(len(record.value or b"") for record in found[partition])
            self.positions[partition] = found[partition][-1].offset + 1
        if found:
            self.changes.came()
        return found

    def close(self) -> None:
        pass


class EmbeddedSubscription(Subscription):
    """A member of a group: live members, sorted, take the partitions in turn."""

    def __init__(self, bus: EmbeddedBus, group: str) -> None:
        self._bus = bus
        self._group = f"{bus.topic}/{group}"
        self._member = uuid4()
        self._assignment: frozenset[int] = frozenset()
        self._reader = EmbeddedReader(bus, {})  # of the partitions that were sought
        self._next_heartbeat = 0.0

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        deadline = time.monotonic() + timeout_s
        while True:
            if self._assignment_changed():
                self._reader.positions.clear()
                self._reader.paused &= self._assignment  # one that comes back later is not paused
                return Polled(self._assignment, True, {}, {})
            records = self._reader.take(max_records)
            if records or time.monotonic() >= deadline:
                return Polled(self._assignment, False, records, {})
            self._reader.changes.wait(deadline - time.monotonic())

    def seek(self, partition: int, offset: int) -> None:
        if partition not in self._assignment:
            raise ValueError(f"partition {partition} is not assigned")
        self._reader.positions[partition] = offset

    def pause(self, partition: int) -> None:
        self._reader.paused.add(partition)

    def resume(self, partition: int) -> None:
        self._reader.paused.discard(partition)

    def close(self) -> None:
        try:
            with bus_errors():
                LogMember.objects.filter(member=self._member).delete()
        except BusError as error:  # the others will find out by themselves
            log.warning("leaving the group: %s", error)

    def _assignment_changed(self) -> bool:
        """Say that this member is alive, and see who else is, once a second."""
        now = time.monotonic()
        if now < self._next_heartbeat:
            return False
        with bus_errors():
            alive = self._beat()
        # Taken for dead meanwhile: others had these partitions and moved on.
        replaced = now - self._next_heartbeat > DEAD_AFTER_S - HEARTBEAT_S
        self._next_heartbeat = now + HEARTBEAT_S
        mine = alive.index(self._member)
        before = self._assignment
        self._assignment = frozenset(
            p for p in range(self._bus.partitions) if p % len(alive) == mine
        )
        return replaced or self._assignment != before

    def _beat(self) -> list[UUID]:
        """The members that are alive, this one among them. One short write, no transaction."""
        connection = connections[write_alias()]
        text, member = dialect_of(connection).text, db_uuid(connection, self._member)
        with connection.cursor() as cursor:
            cursor.execute(text(BEAT), [member])
            if not cursor.rowcount:
                self._join()
            cursor.execute(text(ALIVE), [self._group, DEAD_AFTER_S, DEAD_AFTER_S])
            return sorted({self._member, *(as_uuid(member) for (member,) in cursor.fetchall())})

    def _join(self) -> None:
        """Just come, or taken for dead. Sweep out those that were killed, also before a clock
        leapt back: they would hold their partitions until it is where it was."""
        now = SecondsNow()
        killed = Q(seen_at__lt=now - FORGOTTEN_AFTER_S) | Q(seen_at__gt=now + DEAD_AFTER_S)
        LogMember.objects.filter(killed, group=self._group).delete()
        LogMember.objects.create(member=self._member, group=self._group, seen_at=now)


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
