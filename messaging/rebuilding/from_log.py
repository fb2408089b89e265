"""Following the log into a generation that is being built."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from django.db import connections, transaction

from messaging.bus.base import BATCH_BYTES, Bus, Fetched, LogRecord, Reader
from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.exceptions import BusError, HistoryMismatch
from messaging.projections.consuming import checkpoints, dead_letters
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.checkpoints import Move
from messaging.projections.consuming.ordering import Outcome, apply_in_order
from messaging.projections.consuming.transaction import (
    committed,
    decode,
    moves_of,
    require_dense,
    retry_unblocked,
)
from messaging.projections.registry import Projection
from messaging.projections.rows import RefusedRows

BATCH = 5_000  # records in one transaction, unless they are a window
PATIENCE_S = 30  # without any record, though there must be some
# Of the values of a window's records: with all that it takes, a builder stays below 200 MB.
WINDOW_BYTES = 4 * BATCH_BYTES
CHUNK = 4_000  # records of a window that are decoded and applied at once, rounded up to a stream
MAX_CHUNK = 2 * CHUNK  # but then it is cut within the stream


class LogTail:
    """The records after the checkpoints of a generation. After an error, or a transaction that did
    not commit, open another: this one has read on."""

    def __init__(self, reader: Reader, positions: dict[int, int], identity: str) -> None:
        self._reader = reader
        self.positions = positions  # partition -> the next offset
        self.identity = identity  # of the log

    def remaining(self, wanted: Mapping[int, int]) -> int:
        """How many records are left up to these offsets."""
        return sum(max(0, offset - self.positions[p]) for p, offset in wanted.items())

    def moves_over(self, passed: Mapping[int, int]) -> dict[int, Move]:
        """Of the checkpoints, over offsets that hold no record."""
        return {p: Move(self.positions[p], to) for p, to in passed.items()}

    def read_to(
        self, wanted: Mapping[int, int], check_cancelled: Callable[[], None]
    ) -> Iterator[Fetched]:
        """Yield the records up to these offsets at least, in batches. The positions advance when
        the next batch is asked for. `check_cancelled` is called before each, and may raise."""
        deadline = time.monotonic() + PATIENCE_S
        while self.remaining(wanted):
            check_cancelled()
            fetched = self._reader.poll(timeout_s=0.5, max_records=BATCH)
            if not fetched.records and not fetched.passed:
                if time.monotonic() > deadline:
                    raise BusError(f"The log gave nothing for {PATIENCE_S} s.")
                continue
            deadline = time.monotonic() + PATIENCE_S
            require_dense(fetched.records, self.positions)
            yield fetched
            self.positions |= fetched.passed
            self.positions |= {p: part[-1].offset + 1 for p, part in fetched.records.items()}


@contextmanager
def log_tail(
    projection: Projection, generation: int, bus: Bus, partitions: Iterable[int] | None = None
) -> Iterator[LogTail]:
    """Of these partitions, or of all. Raises `LostTail` if the log does not hold what was read of
    it."""
    identity = str(bus.identity())
    wanted = bus.end_offsets() if partitions is None else partitions
    positions = checkpoints.offsets(projection.name, generation, wanted)
    checkpoints.require_same_log(projection.name, generation, bus, positions)
    reader = bus.reader(positions)
    try:
        yield LogTail(reader, positions, identity)
    finally:
        reader.close()


def fill(
    projection: Projection,
    generation: int,
    bus: Bus,
    note_progress: Callable[[int], None],
    check_cancelled: Callable[[], None],
    consume_all: Callable[[Mapping[int, Sequence[LogRecord]]], None],
) -> None:
    """Consume the partitions that are far behind, one after the other and in whole windows, in
    which each stream is loaded and written once.

    `note_progress(records)` notes it in the open transaction, `check_cancelled` may raise,
    `consume_all` is for a window of which the database refuses a row.
    """
    for partition, end in _far_behind(projection, generation, bus).items():
        with log_tail(projection, generation, bus, [partition]) as tail:
            for window, passed in windows(tail, partition, end, check_cancelled):
                try:
                    _consume(projection, generation, window, note_progress, check_cancelled)
                except RefusedRows:
                    for start in range(0, len(window), BATCH):
                        consume_all({partition: window[start : start + BATCH]})
                if passed:
                    with transaction.atomic(using=read_alias(), durable=True):
                        note_progress(0)
                        checkpoints.advance(projection.name, generation, tail.moves_over(passed))


def _far_behind(projection: Projection, generation: int, bus: Bus) -> dict[int, int]:
    """The ends of the partitions of which more than a batch is left."""
    ends = bus.end_offsets()
    positions = checkpoints.offsets(projection.name, generation, ends)
    return {p: end for p, end in ends.items() if end - positions.get(p, end) > BATCH}


def windows(
    tail: LogTail, partition: int, end: int, check_cancelled: Callable[[], None]
) -> Iterator[tuple[list[LogRecord], dict[int, int]]]:
    """Read one partition as `LogTail.read_to` does, but together what fits into a window.

    On SQLite, where a transaction keeps all other writers waiting, that is a batch.
    """
    most = WINDOW_BYTES if dialect_of(connections[read_alias()]).is_server else 0
    window: list[LogRecord] = []
    size = 0
    for records, passed in tail.read_to({partition: end}, check_cancelled):
        found = records.get(partition, [])
        window += found
        size += sum(len(record.value or b"") for record in found)
        if passed or size >= most:
            yield window, passed
            window, size = [], 0
    if window:
        yield window, {}


def _consume(
    projection: Projection,
    generation: int,
    window: Sequence[LogRecord],
    note_progress: Callable[[int], None],
    check_cancelled: Callable[[], None],
) -> None:
    """Apply a window in one transaction, stream by stream, by the rules of a consumer's batch: the
    order within a stream is that of the log."""
    if not window:
        return
    breaker, total = Breaker(), Outcome()
    with transaction.atomic(using=read_alias(), durable=True):
        note_progress(len(window))
        checkpoints.hold_all(projection, generation)
        checkpoints.advance(projection.name, generation, moves_of(window))
        for chunk in chunks(by_key(window)):
            check_cancelled()
            total.add(_apply(projection, generation, breaker, chunk))
            breaker.committed()
    committed(projection, generation, breaker, total)
    retry_unblocked(projection, generation, total, check_cancelled)


def _apply(
    projection: Projection, generation: int, breaker: Breaker, chunk: Sequence[LogRecord]
) -> Outcome:
    row_batch, outcome = apply_in_order(projection, generation, decode(projection, chunk))
    for _, reason in outcome.halted.values():
        raise HistoryMismatch(reason)
    breaker.require_mostly_sound(outcome)
    row_batch.write(insert_only=not row_batch.has_stored)
    dead_letters.park(projection.name, generation, outcome.parked.values())
    return outcome


def by_key(records: Iterable[LogRecord]) -> Iterator[list[LogRecord]]:
    """The records of each key, in their order. A stream has one key: others are not believed."""
    found: dict[bytes | None, list[LogRecord]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record)
    yield from found.values()


def chunks(streams: Iterable[list[LogRecord]]) -> Iterator[list[LogRecord]]:
    """Whole streams, unless one is very long or large."""
    chunk: list[LogRecord] = []
    size = 0
    for stream in streams:
        for record in stream:
            if len(chunk) >= MAX_CHUNK or size >= 2 * BATCH_BYTES:
                yield chunk
                chunk, size = [], 0
            chunk.append(record)
            size += len(record.value or b"")
        if len(chunk) >= CHUNK or size >= BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
