"""What the contract of a bus is tried with: messages, and members of a group."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from uuid import uuid4

from django.db import connections

from messaging.bus.base import Bus, LogRecord, Message, Subscription, partition_of
from messaging.testing.waiting import wait_until

PARTITIONS = 12
GROUP = "contract"


@dataclass
class Member:
    """A subscriber that begins each partition where the group's positions say, as a consumer
    does with its checkpoints."""

    subscription: Subscription
    positions: dict[int, int] = field(default_factory=dict)
    assignment: frozenset[int] = frozenset()
    records: list[LogRecord] = field(default_factory=list)
    changes: int = 0

    def step(self, *, timeout_s: float = 0.1, max_records: int = 1_000) -> list[LogRecord]:
        polled = self.subscription.poll(timeout_s=timeout_s, max_records=max_records)
        self.assignment = polled.assignment
        if polled.changed:
            assert not polled.records
            self.changes += 1
            for partition in polled.assignment:
                self.subscription.seek(partition, self.positions.get(partition, 0))
        got = [record for part in polled.records.values() for record in part]
        assert len(got) <= max_records
        for record in got:
            assert record.partition in polled.assignment
            assert record.offset == self.positions.get(record.partition, 0), "dense, from the seek"
            self.positions[record.partition] = record.offset + 1
        self.records += got
        return got

    def owns(self, count: int) -> bool:
        self.step()
        return len(self.assignment) == count

    def has(self, count: int) -> bool:
        self.step()
        return len(self.records) >= count


class Worked(Thread):
    """A member that polls in a thread of its own, as each consumer does."""

    def __init__(self, bus: Bus, positions: dict[int, int]) -> None:
        super().__init__()
        self.bus = bus
        self.member = Member(None, positions)  # type: ignore[arg-type]  # made in its thread
        self.stopping = False
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.member.subscription = self.bus.subscribe(GROUP)
            while not self.stopping:
                self.member.step(timeout_s=0.5)
            self.member.subscription.close()
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def stop(self) -> None:
        self.stopping = True
        self.join(30)

    def owns(self, count: int) -> bool:
        assert self.error is None, self.error
        return len(self.member.assignment) == count


@dataclass
class Group:
    """The members of a group, which share their positions."""

    bus: Bus
    positions: dict[int, int] = field(default_factory=dict)
    members: list[Worked] = field(default_factory=list)

    def join(self, count: int) -> list[Worked]:
        """Add members, and wait until each partition has one owner and each owner its share."""
        new = [Worked(self.bus, self.positions) for _ in range(count)]
        self.members += new
        self.settle()
        return new

    def leave(self, members: list[Worked]) -> None:
        for one in members:
            one.stop()
            self.members.remove(one)

    def settle(self, deadline_s: float = 30) -> None:
        wait_until(self.is_shared, "each partition has one owner, each owner its share", deadline_s)

    def is_shared(self) -> bool:
        """While members see one another come and go, a partition may have two or none."""
        share = PARTITIONS // len(self.members)
        owned = [p for one in self.members for p in one.member.assignment]
        return all(one.owns(share) for one in self.members) and len(set(owned)) == PARTITIONS

    def records(self) -> list[LogRecord]:
        return [record for one in self.members for record in one.member.records]


@contextmanager
def grouped(bus: Bus) -> Iterator[Group]:
    """A group that has one member."""
    group = Group(bus)
    group.join(1)
    try:
        yield group
    finally:
        group.leave(list(group.members))


def publish(bus: Bus, messages: list[Message]) -> None:
    publisher = bus.publisher()
    publisher.publish(messages)
    publisher.close()


def numbered(count: int, keys: int = 20) -> list[Message]:
    names = [str(uuid4()) for _ in range(keys)]
    return [Message(names[n % keys], f'{{"n": {n}}}'.encode()) for n in range(count)]


def in_partition(partition: int, count: int) -> list[Message]:
    """Messages of one key that goes to this partition."""
    keys = iter(lambda: str(uuid4()), "")
    key = next(one for one in keys if partition_of(one, PARTITIONS) == partition)
    return [Message(key, str(n).encode()) for n in range(count)]


def everything(bus: Bus) -> list[LogRecord]:
    ranges: Mapping[int, tuple[int, int]] = {p: (0, end) for p, end in bus.end_offsets().items()}
    return [record for records in bus.read_ranges(ranges) for record in records]
