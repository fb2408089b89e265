"""A bus in the memory of this process, for tests: its threads share it, other processes do not.

Keeps the contract of a bus (bus_contract.py) with the reader of the embedded log. What was
published stays when the test's transaction is rolled back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from unittest.mock import patch
from uuid import UUID, uuid4

from messaging import bus, conf
from messaging.bus.base import Identity, LogRecord, Message, Place, Publisher, partition_of
from messaging.bus.embedded import EmbeddedBus, EmbeddedSubscription
from messaging.exceptions import BusError, HistoryMismatch


class MemoryBus(EmbeddedBus):
    """The embedded log with lists in the place of its tables.

    relay = Relay(MemoryBus())
    """

    def __init__(self, topic: str = "memory", partitions: int = 12) -> None:
        super().__init__(topic, partitions)
        self.lock = Lock()
        self.log: dict[int, list[LogRecord]] = {}  # by partition; empty: there is no topic
        self.groups: dict[str, list[UUID]] = {}  # the members of each, in the order they came
        self._ends: dict[int, int] = {}
        self._topic_id = uuid4()

    def ensure_topic(self) -> None:
        with self.lock:
            if not self.log:
                self._topic_id = uuid4()
                self.log = {partition: [] for partition in range(self.partitions)}
                self._ends = dict.fromkeys(self.log, 0)

    def identity(self) -> Identity:
        with self.lock:
            if not self.log:
                raise HistoryMismatch(f"There is no topic {self.topic!r} in memory.")
            topic = str(self._topic_id)
        return Identity(cluster="memory", topic=topic, partitions=self.partitions)

    def publisher(self) -> Publisher:
        return MemoryPublisher(self)

    def subscribe(self, group: str) -> "MemorySubscription":
        return MemorySubscription(self, group)

    def begin_offsets(self) -> dict[int, int]:
        with self.lock:
            return {p: kept[0].offset if kept else self._ends[p] for p, kept in self.log.items()}

    def end_offsets(self) -> dict[int, int]:
        with self.lock:
            return dict(self._ends)

    def records(self, partition: int, start: int, count: int, size: int) -> list[LogRecord]:
        """Up to `count` records from `start` on, which end where they reach `size` bytes. Raises
        `OffsetOutOfRange` if the first of them is not there."""
        found: list[LogRecord] = []
        with self.lock:
            kept = self.log.get(partition, [])
            first = start - kept[0].offset if kept else -1
            for record in kept[first : first + count] if first >= 0 else ():
                found.append(record)
                size -= len(record.value or b"")
                if size <= 0:
                    break
        if not found:
            raise self.out_of_range(partition, start)
        return found

    def written_since(
        self, partition: int, since: datetime
    ) -> Iterator[tuple[LogRecord, datetime]]:
        """It does not know."""
        yield from ()

    def append(self, messages: Sequence[Message]) -> list[Place]:
        """Give the messages their places, all at once."""
        with self.lock:
            if not self.log:
                raise BusError(f"There is no topic {self.topic!r} in memory.")
            places = []
            for key, value, signature in messages:
                partition = partition_of(key, self.partitions)
                places.append(place := Place(partition, self._ends[partition]))
                self.log[partition].append(LogRecord(*place, key.encode(), value, 0, signature))
                self._ends[partition] += 1
            return places

    def delete_records(self, partition: int, before: int) -> None:
        """Delete the records before an offset, as retention does."""
        with self.lock:
            self.log[partition] = [one for one in self.log[partition] if one.offset >= before]

    def delete_topic(self) -> None:
        """Delete all records, and with them which log this was."""
        with self.lock:
            self.log, self._ends = {}, {}


class MemoryPublisher(Publisher):
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        places = self._bus.append(messages)
        return lambda: places

    def close(self) -> None:
        pass


class MemorySubscription(EmbeddedSubscription):
    """Members are known until they close: there is no heartbeat."""

    def __init__(self, bus: MemoryBus, group: str) -> None:
        super().__init__(bus, group)
        self._memory = bus
        with bus.lock:
            self._members = bus.groups.setdefault(group, [])
            self._members.append(self._member)

    def close(self) -> None:
        with self._memory.lock:
            if self._member in self._members:
                self._members.remove(self._member)

    def _assignment_changed(self) -> bool:
        with self._memory.lock:
            mine, count = self._members.index(self._member), len(self._members)
        before, every = self._assignment, range(self._memory.partitions)
        self._assignment = frozenset(p for p in every if p % count == mine)
        return self._assignment != before


@contextmanager
def memory_bus() -> Iterator[MemoryBus]:
    """Use a new bus in memory instead of the one of the settings, in all threads of this process.

    with memory_bus():
        send(PlaceOrder(item="tea"), Context(actor="ann"))
        deliver_all()
    """
    made = MemoryBus(partitions=conf.postlog().kafka.partitions)
    made.ensure_topic()
    with (
        patch.dict(bus._buses, clear=True),
        patch.object(bus, "_make", lambda _: made),
    ):
        yield made
