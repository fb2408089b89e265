"""A bus in memory whose subscriptions share what they fetch, as the consumers of a process do."""

from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from messaging.bus.base import LogRecord, Polled, Subscription
from messaging.bus.shared import BufferedSubscription, FetchBuffer
from messaging.testing import MemoryBus
from messaging.testing.bus_contract import BusContract
from messaging.testing.bus_members import PARTITIONS, Member


class SharedBus(MemoryBus):
    """Counts what its subscriptions fetch."""

    def __init__(self) -> None:
        super().__init__(partitions=PARTITIONS)
        self.buffer = FetchBuffer()
        self.fetched: list[tuple[int, int]] = []
        self.hangs: dict[str, Flag] = {}  # by group: its clients return when it is set
        self.hanging: set[str] = set()
        self.joining: set[str] = set()  # groups that wait for their members
        self.deaf: set[str] = set()  # groups whose clients return in time, and bring nothing
        self.asked: list[float] = []  # for how long clients were to wait
        self.says: dict[int, int] = {}  # what its clients say that they have passed
        self.gives: list[LogRecord] = []  # and what they give besides, of partition 3

    def subscribe(self, group: str) -> Any:
        return BufferedSubscription(Counted(super().subscribe(group), self, group), self.buffer)  # type: ignore[arg-type]


class Counted:
    def __init__(self, inner: Subscription, bus: SharedBus, group: str) -> None:
        self._inner, self._bus, self._group = inner, bus, group

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def is_joining(self) -> bool:
        return self._group in self._bus.joining

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        self._bus.asked.append(timeout_s)
        if self._group in self._bus.hangs:
            self._bus.hanging.add(self._group)
            self._bus.hangs[self._group].wait(20)
        if self._group in self._bus.deaf:
            Flag().wait(timeout_s)
            return Polled(frozenset(range(PARTITIONS)), False, {}, {})
        polled = self._inner.poll(timeout_s=timeout_s, max_records=max_records)
        if self._bus.says:
            given = {3: self._bus.gives} if self._bus.gives else {}
            return polled._replace(passed=self._bus.says, records=given)
        self._bus.fetched += [(p, r.offset) for p, part in polled.records.items() for r in part]
        return polled


class SharedBusContract(BusContract):
    """What a bus promises, kept by subscriptions that share."""

    @pytest.fixture
    def bus(self, bus: SharedBus) -> SharedBus:
        return bus

    def lose_records_before(self, bus: SharedBus, partition: int, offset: int) -> None:  # type: ignore[override]
        bus.delete_records(partition, offset)

    def delete_topic(self, bus: SharedBus) -> None:  # type: ignore[override]
        bus.delete_topic()


def shared_bus() -> Iterator[SharedBus]:
    made = SharedBus()
    made.ensure_topic()
    yield made
    made.close()


def joined(bus: SharedBus, *groups: str) -> list[Member]:
    members = [Member(bus.subscribe(group)) for group in groups]
    for one in members:
        one.step()
    return members


def reading(one: Member, count: int) -> Thread:
    """In a thread of its own, as each consumer does, until it has so many."""

    def read() -> None:
        while len(one.records) < count:
            one.step(max_records=10)
        one.subscription.close()

    thread = Thread(target=read, daemon=True)
    thread.start()
    return thread
