"""What a bus is: an ordered, partitioned, durable log. The vocabulary is Kafka's.

A message's key is its stream id; all messages of a key go to one partition, in the
order in which they were published. Delivery is at least once: consumers drop repeats.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

from messaging.exceptions import BusError, OffsetOutOfRange

# Bytes of a document that every bus takes, whatever it is made of. Kafka counts 1 MiB for a
# batch of one record, with key, headers and overhead. Checked when an event is appended.
MAX_RECORD_BYTES = 1_000_000
# Bytes of records at which every batch ends, with the record that reaches it. Else a thousand
# large events, decoded by three projections at once, took a process beyond 600 MB.
BATCH_BYTES = 8 * 1024 * 1024
READ_BATCH = 5_000  # records
READ_TIMEOUT_S = 30


class Message(NamedTuple):
    """What is published."""

    key: str  # the stream id, in canonical text form
    value: bytes  # a CloudEvents JSON document
    signature: bytes | None = None  # of both (signing.py); None: records are not signed


class Place(NamedTuple):
    """Where a message stands in the log. The offset is -1 if the broker did not say."""

    partition: int
    offset: int


class LogRecord(NamedTuple):
    """What is read. Offsets of a partition are dense, except those that hold no record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    gap: int = 0  # how many offsets directly before it hold no record (Kafka's control records)
    signature: bytes | None = None


class Fetched(NamedTuple):
    """The answer of `Reader.poll`. A partition is in one of the two at most."""

    records: dict[int, list[LogRecord]]
    # Partitions that gave no record although the position moved: over offsets that hold none.
    # Maps each to its position now; `gap` of the next record is counted from there.
    passed: dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which log this is. Offsets mean nothing in another one."""

    cluster: str
    topic: str  # the topic's id, not its name: a recreated topic has another
    partitions: int

    def __str__(self) -> str:
        return f"{self.cluster}/{self.topic}/{self.partitions}"


class Polled(NamedTuple):
    """The answer of `Subscription.poll`."""

    assignment: frozenset[int]
    changed: bool  # the assignment changed: `records` is empty, seek every partition of it now
    records: dict[int, list[LogRecord]]
    passed: dict[int, int]  # as in `Fetched`


class CountByBytes:
    """How many items to ask for where only a count can be asked for: as many of the size of the
    last ones as make `BATCH_BYTES`. What comes all the same is cut by `in_batches`."""

    def __init__(self) -> None:
        self._each = BATCH_BYTES // 100

    def count(self, most: int) -> int:
        return max(1, min(most, BATCH_BYTES // self._each))

    def came(self, sizes: Sequence[int]) -> None:
        if sizes:
            self._each = max(1, sum(sizes) // len(sizes))


def in_batches(records: Sequence[LogRecord]) -> Iterator[Sequence[LogRecord]]:
    """The records in their order, in batches that end at `BATCH_BYTES`."""
    start = size = 0
    for end, record in enumerate(records, 1):
        size += len(record.value or b"")
        if size >= BATCH_BYTES:
            yield records[start:end]
            start, size = end, 0
    if start < len(records):
        yield records[start:]


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: crc32 of its UTF-8 bytes, modulo the CONFIGURED count."""
    return crc32(key.encode()) % partitions


class Publisher(ABC):
    """Puts messages into the log, in the order in which they are handed over.

    After an error it is of no more use: what was not acknowledged never goes out. Begin
    again, with another one, from the oldest message.
    """

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when all are durable; raise `BusError` when that is not known of any of them."""
        self.send(messages)()

    @abstractmethod
    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        """Hand the messages over. What is returned waits until they are durable, as `publish`
        does, and says where each of them stands; until then more can be sent, which goes out
        behind them."""

    @abstractmethod
    def close(self) -> None:
        """Let go at once, without waiting for what was not acknowledged."""


class Subscription(ABC):
    """A member of a consumer group. Used by one thread. Its offsets are kept by the caller."""

    @abstractmethod
    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        """Wait up to `timeout_s` for records, at most `max_records` of them in all.

        Records of a partition begin at the offset last sought, or after the last
        record returned. A partition of a new assignment gives none until it is sought.
        Raises `OffsetOutOfRange` and `BusError`.
        """

    def is_joining(self) -> bool:
        """Whether its group waits for it, so that it should be polled without a break."""
        return False

    @abstractmethod
    def seek(self, partition: int, offset: int) -> None: ...

    @abstractmethod
    def pause(self, partition: int) -> None: ...

    @abstractmethod
    def resume(self, partition: int) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Leave the group, so that others take over at once."""


class Reader(ABC):
    """Reads partitions outside any group. Used by one thread."""

    @abstractmethod
    def poll(self, *, timeout_s: float, max_records: int) -> Fetched:
        """As `Subscription.poll`: the records after those returned last."""

    @abstractmethod
    def pause(self, partition: int) -> None:
        """Read no more of it."""

    @abstractmethod
    def close(self) -> None: ...


class Bus(ABC):
    """One topic, as configured. Cheap to make; connects on use; safe to use from any thread."""

    @abstractmethod
    def ensure_topic(self) -> None:
        """Make the topic if it is not there, explicitly and with unlimited retention."""

    @abstractmethod
    def identity(self) -> Identity:
        """Ask the broker which log this is, now.

        Raises `HistoryMismatch` if the topic is not there, or has fewer partitions than
        configured; `BusError` if nobody answers.
        """

    def hazards(self) -> list[str]:
        """Ask how the log as it is set up can lose history (hazards.py): a sentence each.
        Raises `BusError` if nobody answers."""
        return []

    @abstractmethod
    def publisher(self) -> Publisher: ...

    @abstractmethod
    def subscribe(self, group: str) -> Subscription: ...

    @abstractmethod
    def begin_offsets(self) -> dict[int, int]:
        """The first offset of every partition that can still be read."""

    @abstractmethod
    def end_offsets(self) -> dict[int, int]:
        """The offset after the last record, of every partition."""

    @abstractmethod
    def reader(self, positions: Mapping[int, int]) -> Reader:
        """A reader of these partitions, each from its offset on."""

    def read(self, partition: int, start: int, stop: int) -> Iterator[list[LogRecord]]:
        """The records from `start` to `stop` (excluded) in batches.

        Raises `OffsetOutOfRange` if one of them is not there (any more).
        """
        yield from self.read_ranges({partition: (start, stop)})

    def read_ranges(
        self, ranges: Mapping[int, tuple[int, int]], *, batch: int = READ_BATCH
    ) -> Iterator[list[LogRecord]]:
        """Read several partitions through one reader, each from its start to its stop, as
        `read` does one. A batch holds at most `batch` records, all of one partition."""
        left = {p: start for p, (start, stop) in ranges.items() if start < stop}
        if not left:
            return
        reader = self.reader(left)
        deadline = time.monotonic() + READ_TIMEOUT_S
        try:
            while left:
                fetched = reader.poll(timeout_s=1, max_records=batch)
                positions = {p: part[-1].offset + 1 for p, part in fetched.records.items()}
                for partition, part in fetched.records.items():
                    if wanted := [one for one in part if one.offset < ranges[partition][1]]:
                        yield wanted
                for partition, position in (positions | fetched.passed).items():
                    deadline = time.monotonic() + READ_TIMEOUT_S
                    left[partition] = position
                    if position >= ranges[partition][1]:
                        del left[partition]
                        reader.pause(partition)
                if left and not positions and not fetched.passed:
                    self._require_ends(ranges, left)
                    if time.monotonic() > deadline:
                        raise BusError(
                            f"Partitions {sorted(left)} gave nothing for {READ_TIMEOUT_S} s."
                        )
        finally:
            reader.close()

    def written_since(
        self, partition: int, since: datetime
    ) -> Iterator[tuple[LogRecord, datetime]]:
        """The records of a partition, from the first that was written at `since` or later, and when
        each was: by the clock of the log or of who published it. Slow; ends at the end. A bus that
        does not know the times gives none."""
        yield from ()

    def _require_ends(self, ranges: Mapping[int, tuple[int, int]], left: Iterable[int]) -> None:
        ends = self.end_offsets()
        for partition in left:
            if ends[partition] < (stop := ranges[partition][1]):
                first = self.begin_offsets()[partition]
                raise OffsetOutOfRange(partition, stop, first, ends[partition])

    def close(self) -> None:  # noqa: B027  # most have nothing to close
        """Let go of connections. It can be used again."""
