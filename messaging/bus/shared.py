"""One reading of the log for all consumers of a process.

Each keeps its own place in its group, and its own positions. Whoever comes first puts what it has
fetched into a buffer, which is small, and those behind take it from there instead of fetching it
again. One that is too far behind fetches by itself, as if it were alone. Those that are level wait
for one of them to fetch. docs/decisions/0049-projections-read-the-log-once.md
"""

import time
from collections.abc import Collection, Mapping, Sequence
from threading import Condition
from typing import Any, NamedTuple

from messaging.bus.base import BATCH_BYTES, LogRecord, Polled, Subscription

LEAST = 500  # records of a poll: whoever catches up gets as many
MOST_CHUNKS = 500  # where others keep up, those before one that does not may be small
# For how long one waits for others, who get the processor meanwhile: a second, and as long again as
# it has worked since. So one that is slow or stuck takes no more than half from those beside it.
PATIENCE_S = 1.0
PLACE_EVERY_S, PLACE_S = 1.0, 0.1  # how often, and how long, one that follows asks its group
OVERLOOKED_S = 5.0  # after which it looks by itself at what others miss, or read elsewhere
TURN_S = 1.0  # for a fetch, of half a second where nothing comes, those that are level wait so long
RETURN_S = 0.02  # and for the one that fetched last: a client that takes over has to seek
SETTLED_AFTER_S = 3.0  # a change of partitions, which comes in several steps


class SharedRecord(LogRecord):
    """A record that several consumers read. What one has found in it is kept for the others."""

    found: Any = None


class Turn(NamedTuple):
    """The right of a member to fetch what follows its positions."""

    positions: Mapping[int, int]
    since: float  # monotonic
    is_behind: bool = False


class FetchBuffer:
    """What subscriptions of this process have fetched, for those behind them. Of one topic."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[int, int], list[SharedRecord]] = {}  # by partition and position
        self._bytes = 0
        self.members: dict[object, dict[int, int]] = {}  # what each one reads, and from where
        self._fetching: dict[object, Turn] = {}  # those of them who fetch now
        self._fetched: tuple[object, Turn, float] = (None, Turn({}, 0.0), 0.0)  # who did last, when
        self._moved = Condition()

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
        """Keep records for others, if there is room; return them as they are shared."""
        found = {p: [*part] for p, part in records.items()}
        with self._moved:
            while self._is_full() and _count(records) < LEAST:
                self._drop_the_last()  # those that keep up wait for nobody
            if self._is_full():
                return found
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
            self.members.pop(member, None)
            if positions:
                self.members[member] = positions
            if self._drop():
                self._moved.notify_all()

    def wait_for_turn(
        self, member: object, positions: Mapping[int, int], patience_s: float
    ) -> float:
        """Wait until there is something to take, or it is this member's turn to fetch: nobody else
        fetches the same, and what it adds will have room. Return for how long it has waited.

        When its patience is over, who is furthest behind falls out: it fetches by itself.
        """
        begun = now = time.monotonic()
        with self._moved:
            while not self._chunks.keys() & positions.items():
                if now - begun < patience_s and self._has_to_wait(positions):
                    self._moved.wait(begun + patience_s - now)
                    now = time.monotonic()
                    continue
                while self._bytes >= BATCH_BYTES:
                    self._drop_the_last()
                self._fetching[member] = Turn(positions, now, is_behind=True)
                break
        return now - begun

    def wait_beside(self, member: object, positions: Mapping[int, int], timeout_s: float) -> bool:
        """Wait until there is something to take, or it is this member's turn to fetch; False:
        another one still fetches all of it."""
        now = time.monotonic()
        deadline = now + timeout_s
        with self._moved:
            while not self._chunks.keys() & positions.items():
                until = self._fetched_until(member, positions)
                if now >= until:
                    self._fetching[member] = Turn(positions, now)
                    break
                if now >= deadline:
                    return False
                self._moved.wait(min(until, deadline) - now)
                now = time.monotonic()
        return True

    def _fetched_until(self, member: object, positions: Mapping[int, int]) -> float:
        """When one that is level stops relying on others to fetch all of this."""
        for turn in self._fetching.values():
            if positions.items() <= turn.positions.items():
                return turn.since + TURN_S
        last, turn, ended = self._fetched
        is_there = last in self.members and last is not member
        return ended + RETURN_S if is_there and positions.keys() <= turn.positions.keys() else 0.0

    def fetched(self, member: object) -> None:
        """Let others fetch."""
        with self._moved:
            if turn := self._fetching.pop(member, None):
                self._fetched = (member, turn, time.monotonic())
                self._moved.notify_all()

    def _has_to_wait(self, positions: Mapping[int, int]) -> bool:
        turns = [one.positions.items() for one in self._fetching.values() if one.is_behind]
        return self._bytes >= BATCH_BYTES or any(one & positions.items() for one in turns)

    def _is_full(self) -> bool:
        return self._bytes >= BATCH_BYTES or len(self._chunks) >= MOST_CHUNKS

    def _drop_the_last(self) -> None:
        """Do without those who come next to what was fetched first."""
        for partition, start in self._chunks:
            last = [one for one, at in self.members.items() if at.get(partition) == start]
            if last:
                break
        for one in last:
            del self.members[one]
        self._drop()

    def _drop(self) -> bool:
        """Drop what no member comes to by what is kept; return whether there was any."""
        needed: set[tuple[int, int]] = set()
        for positions in self.members.values():
            for at in positions.items():
                while at in self._chunks and at not in needed:
                    needed.add(at)
                    at = (at[0], self._chunks[at][-1].offset + 1)
        dropped = self._chunks.keys() - needed
        for at in dropped:
            chunk = self._chunks.pop(at)
            self._bytes -= _size(chunk)
            for record in chunk:
                record.found = None  # which may refer to the record: both would stay
        return bool(dropped)


class BufferedSubscription(Subscription):
    """A subscription that takes from the buffer what it can; its own client is paused meanwhile."""

    def __init__(self, inner: Subscription, buffer: FetchBuffer) -> None:
        self._inner = inner
        self._buffer = buffer
        self._next: dict[int, int] = {}  # of each partition that was sought
        self._paused: set[int] = set()
        self._held: set[int] = set()  # where the inner one is held back, and stands elsewhere
        self._assignment: frozenset[int] = frozenset()
        self._polled = 0.0  # when it asked its own client
        self._followed: dict[int, float] = {}  # when others, or itself alone, had each partition
        self._is_behind = False  # the last poll gave as many as one that catches up gets
        self._settled = 0.0  # when it may rely on others again
        self._patience_s = PATIENCE_S
        self._returned = time.monotonic()  # from the last poll

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        worked_s = time.monotonic() - self._returned
        self._patience_s = min(PATIENCE_S, self._patience_s + worked_s)
        try:
            return self._poll(timeout_s, max_records)
        finally:
            self._buffer.fetched(self)
            self._returned = time.monotonic()

    def _poll(self, timeout_s: float, max_records: int) -> Polled:
        wanted = self._wanted()
        self._buffer.report(self, wanted)
        if not wanted or self._is_unsettled():
            return self._fetch_all(timeout_s, max_records)
        found = self._buffer.take(wanted, max_records)
        if not found:
            if self._is_behind:
                self._patience_s -= self._buffer.wait_for_turn(self, wanted, self._patience_s)
            elif not self._buffer.wait_beside(self, wanted, timeout_s):
                return self._follow({}, max_records)
            found = self._buffer.take(wanted, max_records)
        if found:
            return self._follow(found, max_records)
        return self._fetch_all(timeout_s, max_records)

    def _is_unsettled(self) -> bool:
        """Whether its own client is to be polled without a break: its partitions change."""
        is_new = time.monotonic() < self._settled
        return (is_new and not self._is_behind) or self._inner.is_joining()

    def _wanted(self) -> dict[int, int]:
        return {p: at for p, at in self._next.items() if p not in self._paused}

    def _follow(self, found: dict[int, list[LogRecord]], max_records: int) -> Polled:
        for partition in self._next.keys() - self._held:
            self._held.add(partition)
            self._inner.pause(partition)
        now = time.monotonic()
        self._followed |= dict.fromkeys(found, now)
        if now - self._polled >= PLACE_EVERY_S:
            # For its place in the group, and what others do not read.
            overlooked = {p for p in self._wanted() if now - self._followed[p] >= OVERLOOKED_S}
            place_s = PLACE_S if overlooked or self._is_behind else 0.0  # readers wait if level
            self._followed |= dict.fromkeys(overlooked, now)
            polled = self._fetch(overlooked, place_s, max_records)
            if polled.changed or polled.records or polled.passed:
                return polled  # what was found is taken the next time
        return self._told(Polled(self._assignment, False, found, {}))

    def _fetch_all(self, timeout_s: float, max_records: int) -> Polled:
        self._followed = dict.fromkeys(self._next, time.monotonic())
        return self._fetch(self._next.keys(), timeout_s, max_records)

    def _fetch(self, partitions: Collection[int], timeout_s: float, max_records: int) -> Polled:
        for partition in self._held.intersection(partitions):
            self._held.remove(partition)
            if partition not in self._paused:
                self._inner.resume(partition)
            self._inner.seek(partition, self._next[partition])
        polled = self._inner.poll(timeout_s=timeout_s, max_records=max_records)
        self._polled = time.monotonic()
        records = {p: part for p, part in polled.records.items() if p not in self._held}
        passed = {p: at for p, at in polled.passed.items() if p not in self._held}
        if len(self._buffer.members) > 1:
            records = self._buffer.add(records)
        return self._told(polled._replace(records=records, passed=passed))

    def _told(self, polled: Polled) -> Polled:
        self._assignment = polled.assignment
        self._is_behind = _count(polled.records) >= LEAST
        if polled.changed:
            self._settled = time.monotonic() + SETTLED_AFTER_S
            self._next.clear()
            self._paused &= polled.assignment
            self._held &= polled.assignment
        self._next |= polled.passed
        self._next |= {p: part[-1].offset + 1 for p, part in polled.records.items()}
        return polled

    def seek(self, partition: int, offset: int) -> None:
        self._next[partition] = offset
        self._followed[partition] = time.monotonic()
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


def _count(records: Mapping[int, Sequence[LogRecord]]) -> int:
    return sum(map(len, records.values()))


def _size(chunk: Sequence[LogRecord]) -> int:
    return sum([len(record.value or b"") for record in chunk])
