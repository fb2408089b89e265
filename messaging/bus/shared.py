"""One reading of the log for all consumers of a process that catch up side by side.

Each keeps its own place in its group, and its own positions. Whoever comes first puts what it has
fetched into a buffer, which is small, and those behind take it from there instead of fetching it
again. One that is too far behind fetches by itself, as if it were alone.
"""

import time
from collections.abc import Mapping, Sequence
from threading import Condition, Lock
from typing import Any

from messaging.bus.base import BATCH_BYTES, LogRecord, Polled, Subscription

LEAST = 500  # records of a poll that is buffered for others: whoever catches up gets as many
# For how long the first one waits for others to follow, where it would lose them otherwise: until
# then they get the processor. Whoever does not move for so long is waited for no more.
PATIENCE_S = 1.0
PLACE_EVERY_S, PLACE_S = 1.0, 0.1  # how often, and how long, one that follows asks its group


class SharedRecord(LogRecord):
    """A record that several consumers read. What one has found in it is kept for the others."""

    found: Any = None


class FetchBuffer:
    """What subscriptions of this process have fetched, for those behind them. Of one topic."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[int, int], list[SharedRecord]] = {}  # by partition and position
        self._bytes = 0
        # When each one was last heard of, and what it reads from where.
        self._members: dict[object, tuple[float, dict[int, int]]] = {}
        self._moved = Condition()
        self.first = Lock()  # held by the one that fetches, so that others do not fetch the same

    def take(self, positions: Mapping[int, int], most: int) -> dict[int, list[LogRecord]]:
        """What follows these positions, at most `most` records."""
        found: dict[int, list[LogRecord]] = {}
        at = dict(positions)
        with self._moved:
            for (partition, start), chunk in self._chunks.items():
                if at.get(partition) == start and len(chunk) <= most:
                    found.setdefault(partition, []).extend(chunk)
                    at[partition] = chunk[-1].offset + 1
                    most -= len(chunk)
        return found

    def add(self, records: Mapping[int, Sequence[LogRecord]]) -> dict[int, list[LogRecord]]:
        """Keep records for others; return them as they are shared."""
        found = {p: [*part] for p, part in records.items()}
        with self._moved:
            for partition, part in records.items():
                at = (partition, part[0].offset - part[0].gap)
                if at not in self._chunks:
                    self._chunks[at] = [SharedRecord(*one) for one in part]
                    self._bytes += _size(part)
                    found[partition] = [*self._chunks[at]]
        return found

    def report(self, member: object, positions: dict[int, int]) -> None:
        """Say where a member is; nowhere: it has left."""
        with self._moved:
            self._members.pop(member, None)
            if positions:
                self._members[member] = (time.monotonic(), positions)
            self._drop()
            self._moved.notify_all()

    def wait_for_room(self, member: object, positions: Mapping[int, int]) -> None:
        """Let others follow before more is kept than a batch may hold. Whoever has not moved for
        `PATIENCE_S` is waited for no more."""
        with self._moved:
            self._drop()
            # Unless there is something for it, for which others would wait in turn.
            while self._bytes >= BATCH_BYTES and not self._chunks.keys() & positions.items():
                self._moved.wait(PATIENCE_S / 5)
                late = time.monotonic() - PATIENCE_S
                for one, (heard, _) in list(self._members.items()):
                    if one is not member and heard < late:
                        del self._members[one]
                self._drop()

    def _drop(self) -> None:
        """Drop what nobody follows any more: a member follows a partition as long as what comes
        next for it is kept."""
        needed: dict[int, int] = {}  # partition -> from where on
        for _, positions in self._members.values():
            for partition, position in positions.items():
                if (partition, position) in self._chunks:
                    needed[partition] = min(position, needed.get(partition, position))
        for partition, start in list(self._chunks):
            if partition not in needed or start < needed[partition]:
                chunk = self._chunks.pop((partition, start))
                self._bytes -= _size(chunk)
                for record in chunk:
                    record.found = None  # which may refer to the record: both would stay


class BufferedSubscription(Subscription):
    """A subscription that takes from the buffer what it can; its own client is paused meanwhile."""

    def __init__(self, inner: Subscription, buffer: FetchBuffer) -> None:
        self._inner = inner
        self._buffer = buffer
        self._next: dict[int, int] = {}  # of each partition that was sought
        self._paused: set[int] = set()
        self._held: set[int] = set()  # where the inner one is held back, and stands elsewhere
        self._assignment: frozenset[int] = frozenset()
        self._polled = 0.0
        self._is_behind = False  # the last poll gave as many as one that catches up gets

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        self._buffer.report(self, self._wanted())
        if found := self._buffer.take(self._wanted(), max_records):
            return self._follow(found)
        if not self._is_behind:
            return self._fetch(timeout_s, max_records)
        self._buffer.wait_for_room(self, self._wanted())
        is_first = self._buffer.first.acquire(timeout=PATIENCE_S)
        try:
            if found := self._buffer.take(self._wanted(), max_records):
                return self._follow(found)
            return self._fetch(timeout_s, max_records)
        finally:
            if is_first:
                self._buffer.first.release()

    def _wanted(self) -> dict[int, int]:
        return {p: at for p, at in self._next.items() if p not in self._paused}

    def _follow(self, found: dict[int, list[LogRecord]]) -> Polled:
        for partition in self._next.keys() - self._held:
            self._held.add(partition)
            self._inner.pause(partition)
        if time.monotonic() - self._polled < PLACE_EVERY_S:
            return self._told(Polled(self._assignment, False, found, {}))
        # All is paused: this is for its place in the group. As long as any poll may take, since
        # kafka-python begins a join again that takes longer than a poll.
        polled = self._inner.poll(timeout_s=PLACE_S, max_records=1)
        self._polled = time.monotonic()
        return self._told(polled if polled.changed else polled._replace(records=found, passed={}))

    def _fetch(self, timeout_s: float, max_records: int) -> Polled:
        while self._held:
            partition = self._held.pop()
            if partition not in self._paused:
                self._inner.resume(partition)
            self._inner.seek(partition, self._next[partition])
        polled = self._inner.poll(timeout_s=timeout_s, max_records=max_records)
        self._polled = time.monotonic()
        if sum(map(len, polled.records.values())) >= LEAST:
            polled = polled._replace(records=self._buffer.add(polled.records))
        return self._told(polled)

    def _told(self, polled: Polled) -> Polled:
        self._assignment = polled.assignment
        self._is_behind = sum(map(len, polled.records.values())) >= LEAST
        if polled.changed:
            self._next.clear()
            self._paused &= polled.assignment
            self._held &= polled.assignment
        self._next |= polled.passed
        self._next |= {p: part[-1].offset + 1 for p, part in polled.records.items()}
        return polled

    def seek(self, partition: int, offset: int) -> None:
        self._next[partition] = offset
        self._inner.seek(partition, offset)
        self._buffer.report(self, self._wanted())

    def pause(self, partition: int) -> None:
        self._paused.add(partition)
        self._inner.pause(partition)

    def resume(self, partition: int) -> None:
        self._paused.discard(partition)
        if partition not in self._held:
            self._inner.resume(partition)

    def close(self) -> None:
        self._buffer.report(self, {})
        self._inner.close()


def _size(chunk: Sequence[LogRecord]) -> int:
    return sum([len(record.value or b"") for record in chunk])
