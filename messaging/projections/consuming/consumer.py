"""The consumer: polls the bus and consumes records in batches (transaction.py)."""

import logging
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from threading import Event as Flag

from django.db import connections

from messaging import signals
from messaging.bus.base import Bus, LogRecord, Subscription
from messaging.bus.shared import BufferedSubscription, FetchBuffer
from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.exceptions import FencedOff, HistoryMismatch, OffsetOutOfRange
from messaging.projections import writers
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.automatic_retry import AutomaticRetry
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.checkpoints import Move
from messaging.projections.consuming.gaps import report_gaps
from messaging.projections.consuming.stalls import confirm_level
from messaging.projections.consuming.transaction import (
    consume,
    consume_all,
    pass_over,
    require_dense,
)
from messaging.projections.registry import Projection
from messaging.transient import is_away, pause_s, reason
from messaging.workers.heartbeats import owner_role
from messaging.workers.leadership import Wait, leadership
from messaging.workers.repeats import Repeats

log = logging.getLogger("postlog.consumer")

BATCH = 2_500  # records in one transaction: the more, the fewer rows are loaded and written twice
SQLITE_BATCH = 1_000  # there it keeps all other writers waiting
IDENTITY_EVERY_S = 10.0  # at most; not all projections of a process at once
GAPS_EVERY_S = 2.0
CONFIRM_EVERY_S = 5.0
STANDBY_POLL_S = 0.5
ASLEEP_AFTER_S = 2.0  # without a step: the process was frozen, or worked on a long batch


class Consumer:
    """Feeds one projection, with the partitions that its group gives it. One thread.

    Where the projection has a single owner, the one with the lock is alone in the group and has all
    partitions; others stand by.
    """

    def __init__(self, projection: Projection, bus: Bus, buffer: FetchBuffer | None = None) -> None:
        """`buffer`: shared with other consumers of this process, each with a thread of its own."""
        self._projection = projection
        self._bus = bus
        self._buffer = buffer
        self.name = projection.name
        self._group = f"postlog.{projection.name}"
        self._lock = (
            leadership(f"projection-{self.name}", read_alias()) if projection.single_owner else None
        )
        self._wait = Wait(log, f"{self.name}: standing by")
        self._repeats = Repeats(log)
        self._is_server = dialect_of(connections[read_alias()]).is_server
        self._generation = 0
        self._breaker = Breaker()
        self._positions: dict[int, int] = {}  # partition -> the next offset
        self.halted: dict[int, str] = {}  # partition -> why, since the last seek
        self._subscription: Subscription | None = None
        self._gaps: set[int] = set()  # already reported
        self._gaps_checked = 0.0
        self._retries = AutomaticRetry(projection)
        self._confirmed = time.monotonic()
        self._log_check_due = 0.0
        self._stepped = 0.0
        self.last_error = ""  # empty: what it wrote last was committed

    def run(self, stop: Flag) -> None:
        """Consume until `stop` is set; the batch at hand is finished first.

        Raises `HistoryMismatch` and `TooManyFailures`, which no retry can cure. Waits and tries
        again when the database or the bus is away.
        """
        failures = 0
        try:
            while not stop.is_set():
                try:
                    # Only a write clears the error: reading may work while writing does not.
                    if self.run_once():
                        failures, self.last_error = 0, ""
                    elif not self.is_active():
                        self.last_error = ""  # it is for the active one to work
                        stop.wait(STANDBY_POLL_S)
                except Exception as error:
                    if not (isinstance(error, FencedOff) or is_away(error)):
                        raise
                    self.close()
                    failures += 1
                    pause = pause_s(failures)
                    self.last_error = reason(error)
                    what = f"{self.name}: {self.last_error}"
                    self._repeats.say(logging.WARNING, what, f"Trying again in {pause:.1f} s.")
                    connections[read_alias()].close()
                    stop.wait(pause)
        finally:
            self.close()

    def run_once(self) -> bool:
        """Poll and consume one batch, or stand by; return whether something was written. The first
        call joins the group. After any exception call `close` before the next."""
        if self._lock is not None:
            if not self._lock.acquire():
                self._leave()
                self._wait.goes_on(self._lock)
                return False
            self._wait.ends()
        if self._subscription is None:
            self._bus.ensure_topic()
            self._start()
            joined = self._bus.subscribe(self._group)
            self._subscription = (
                joined if self._buffer is None else BufferedSubscription(joined, self._buffer)
            )
            self._announce(active=True)
        return self._step(self._subscription)

    def is_active(self) -> bool:
        """Whether it has joined the group; where there is a single owner, only that one does."""
        return self._subscription is not None

    def partitions(self) -> list[int]:
        """Those that its group has given it."""
        return sorted([*self._positions]) if self.is_active() else []  # a copy: another thread asks

    def close(self) -> None:
        """Leave the group, and let others own what has a single owner."""
        self._leave()
        if self._lock is not None:
            self._lock.release()

    def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()
            self._announce(active=False)

    def _announce(self, *, active: bool) -> None:
        """Where there is a single owner: the others share, and nobody leads."""
        if self._lock is not None:
            role = owner_role(self.name)
            signals.leader_changed.send_robust(Consumer, role=role, active=active)

    def is_level(self, ends: Mapping[int, int]) -> bool:
        """Whether this consumer has all these partitions, and has consumed them up to these offsets
        or to where they are halted."""
        at = self._positions
        return all(p in self.halted or at.get(p, -1) >= end for p, end in ends.items())

    def _start(self) -> None:
        if not self._generation:  # one that was fenced since may be of older code than what wrote
            writers.take_over(self.name)
        self._use(checkpoints.begin(self.name, self._bus.identity()))
        self._log_check_due = time.monotonic() + random.uniform(0.5, 1) * IDENTITY_EVERY_S

    def _use(self, live_generation: int) -> None:
        if live_generation != self._generation:
            self._generation, self._breaker = live_generation, Breaker()

    def _step(self, subscription: Subscription) -> bool:
        """Consume one batch; return whether something was written."""
        most = BATCH if self._is_server else min(BATCH, SQLITE_BATCH)
        try:
            polled = subscription.poll(timeout_s=0.5, max_records=most)
        except OffsetOutOfRange:
            if self._check_log():
                raise FencedOff("the offsets were those of another generation") from None
            raise
        if polled.changed or self._check_log_if_due():
            self._seek(subscription, polled.assignment)  # what was polled comes again
            return False
        self._report_gaps_if_due()
        self._retries.run_if_due(self._generation, self._positions)
        confirmed = self._confirm_level_if_due()
        if not polled.records and not polled.passed:
            return confirmed
        require_dense(polled.records, self._positions)
        try:
            self._pass_over(polled.passed)
            halted = self._consume(polled.records)
        except FencedOff as error:
            what = f"{self.name}: another consumer was first, or a rebuild"
            self._repeats.say(logging.INFO, what, error)
            self._seek(subscription, polled.assignment)
            return False
        for partition, records in polled.records.items():
            self._positions[partition] = records[-1].offset + 1
        for partition in halted:
            subscription.pause(partition)
        self.halted |= halted
        return True

    def _consume(self, records: Mapping[int, Sequence[LogRecord]]) -> dict[int, str]:
        one = partial(consume, self._projection, self._generation, self._breaker)
        return consume_all(self._projection, self._generation, records, one)

    def _report_gaps_if_due(self) -> None:
        if time.monotonic() - self._gaps_checked >= GAPS_EVERY_S:
            self._gaps_checked = time.monotonic()
            self._gaps = report_gaps(self.name, self._generation, self._gaps)

    def _confirm_level_if_due(self) -> bool:
        if time.monotonic() - self._confirmed < CONFIRM_EVERY_S:
            return False
        found = confirm_level(self.name, self._generation, self._bus, self._positions)
        self._confirmed = time.monotonic()
        return found

    def _pass_over(self, passed: Mapping[int, int]) -> None:
        # The client passes over what it had fetched behind the record that halted a partition.
        # That checkpoint stays where it is, before the record.
        moved = {p: to for p, to in passed.items() if p not in self.halted}
        if moved:
            moves = {p: Move(self._positions[p], to) for p, to in moved.items()}
            pass_over(self._projection, self._generation, moves)
            self._positions |= moved

    def _seek(self, subscription: Subscription, assignment: frozenset[int]) -> None:
        """Seek every assigned partition in the live generation.

        Raises `FencedOff` if one has no checkpoint: left unsought it would stay paused,
        and nobody would notice. The retry makes the checkpoint, as every start does.
        """
        generation, offsets = checkpoints.live_offsets(self.name)
        if missing := sorted(assignment - offsets.keys()):
            raise FencedOff(f"partitions {missing} have no checkpoint in generation {generation}")
        self._use(generation)
        self._positions = {partition: offsets[partition] for partition in assignment}
        self.halted.clear()
        for partition, offset in self._positions.items():
            subscription.resume(partition)  # if what halted it is not cured, it halts again
            subscription.seek(partition, offset)
        self._retries.run_at_once()
        self._stepped = time.monotonic()  # before the comparison: a freeze within it counts
        self._require_same_log(assignment)
        log.info("%s: partitions %s", self.name, sorted(assignment) or "none")

    def _check_log_if_due(self) -> bool:
        """`_check_log` from time to time, and after a freeze: meanwhile the log can have lost its
        tail and grown again, and once the batch is applied nothing would tell."""
        now = time.monotonic()
        asleep, self._stepped = now - self._stepped > ASLEEP_AFTER_S, now
        return (asleep or now >= self._log_check_due) and self._check_log()

    def _check_log(self) -> bool:
        """Compare the log with what was read of it; return whether readers were switched to
        another generation.

        Raises `HistoryMismatch` if the topic was recreated, or does not hold what was read of
        it: reading alone does not show that.
        """
        live = checkpoints.require_live_identity(self.name, self._bus.identity())
        self._log_check_due = time.monotonic() + random.uniform(0.5, 1) * IDENTITY_EVERY_S
        if live != self._generation:
            return True
        self._require_same_log(self._positions)
        self._stepped = time.monotonic()  # a slow broker does not count as a freeze
        return False

    def _require_same_log(self, partitions: Iterable[int]) -> None:
        try:
            checkpoints.require_same_log(self.name, self._generation, self._bus, partitions)
        except HistoryMismatch:
            # If the topic was recreated meanwhile, say that.
            checkpoints.require_live_identity(self.name, self._bus.identity())
            raise


def last_errors(consumers: Iterable[Consumer]) -> str:
    """The errors of consumers that cannot work now, each once, after the projections it stops."""
    stopped: dict[str, list[str]] = {}
    for one in consumers:
        if one.last_error:
            stopped.setdefault(one.last_error, []).append(one.name)
    return "; ".join(f"{', '.join(names)}: {error}" for error, names in stopped.items())
