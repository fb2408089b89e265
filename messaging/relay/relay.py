"""The relay: publishes the outbox to the log, in order, and deletes what was acknowledged.

At least once: a crash between the acknowledgement and the delete publishes again, and
consumers drop repeats by version. One relay is active, others stand by.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Event as Flag
from typing import NamedTuple, TypeVar

from django.db import connections

from messaging import signals
from messaging.bus.base import Bus, Message, Place, Publisher
from messaging.conf import write_alias
from messaging.dialect.changes import Changes
from messaging.eventstore.models import LogIdentity
from messaging.exceptions import HistoryMismatch, LostTail
from messaging.proof import undisturbed
from messaging.relay import log_identity, outbox
from messaging.relay.outbox import Pending
from messaging.transient import is_away, pause_s, reason, require_writable
from messaging.workers.leadership import Wait, leadership
from messaging.workers.repeats import Repeats

T = TypeVar("T")

log = logging.getLogger("postlog.relay")

BATCH = 1_000
MAX_WAIT_S = 0.25  # for a change; it also has a lock and a log to look after
STANDBY_POLL_S = 1.0
IDENTITY_EVERY_S = 10.0
BATCH_STANDS = "The relay's last batch stands in the log as it is now, and still waits to be sent."


class Interrupted(Exception):
    """The relay is to stop, has lost its lock while it compared, or has to start again with a log
    that an operator has accepted."""


class Sent(NamedTuple):
    """A batch that is on its way to the log."""

    pending: list[Pending]
    messages: list[Message]
    wait: Callable[[], list[Place]]
    since: float  # monotonic


class Relay:
    """One thread's relay. `run` returns when `stop` is set, after the batch at hand."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._leadership = leadership("relay", write_alias())
        self._wait = Wait(log, "relay: standing by")
        self._repeats = Repeats(log)
        self._failures = 0  # in a row
        self._publisher: Publisher | None = None
        self._on_the_way: Sent | None = None
        self._log: LogIdentity | None = None  # the one that it compared with the store
        self._identity_checked = 0.0
        self._check_cancelled: Callable[[], None] = lambda: None  # while it compares
        self._compared: dict[int, int] = {}  # up to where each partition tells what the store does

    def is_active(self) -> bool:
        """Whether this is the relay that publishes; the others stand by."""
        return self._publisher is not None

    def run(self, stop: Flag) -> None:
        """Publish until `stop` is set, or stand by while another relay does.

        Raises `HistoryMismatch` when publishing would harm the history; no retry can cure that.
        """
        changes = Changes(write_alias(), self._leadership.pause)
        try:
            while not stop.is_set():
                try:
                    published = self.run_once(stop)
                except Exception as error:
                    if not is_away(error):
                        raise
                    self.close()
                    self._failures += 1
                    pause = pause_s(self._failures)
                    again = f"Trying again in {pause:.1f} s."
                    self._repeats.say(logging.WARNING, f"relay: {reason(error)}", again)
                    connections[write_alias()].close()
                    stop.wait(pause)
                else:
                    if published:
                        changes.came()
                    elif self.is_active():
                        changes.wait(MAX_WAIT_S, stop)
                    else:
                        stop.wait(STANDBY_POLL_S)
            self._finish_at_stop()
        finally:
            self.close()

    def _finish_at_stop(self) -> None:
        """Wait for what is on its way. What is not acknowledged stays in the outbox."""
        if not self.is_active():
            return
        try:
            self._finish()
        except Interrupted:
            pass
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("relay: %s. What was on its way stays in the outbox.", reason(error))
        log.info("relay: stopped")

    def run_once(self, stop: Flag | None = None) -> bool:
        """Publish the oldest batch, and wait for the one before it; False: there was neither, or
        another relay leads. The first call takes the lock and compares the log with the store.
        Whatever it raises, call `close` before the next."""
        if not self._leadership.acquire():
            self._stand_by()
            self._wait.goes_on(self._leadership)
            return False
        try:
            if self._publisher is None:
                self._lead(stop or Flag())
            if time.monotonic() - self._identity_checked > IDENTITY_EVERY_S:
                self._check_log()
            published = self._publish_next()
            if not published:
                self._failures = 0
            return published
        except Interrupted:
            self._stand_by()
            return False

    def close(self) -> None:
        """Publish no more, and release the lock."""
        self._stand_by()
        self._leadership.release()

    def _lead(self, stop: Flag) -> None:
        self._wait.ends()
        # Else each attempt publishes a batch that it then cannot delete.
        require_writable(write_alias())
        self._bus.ensure_topic()
        self._log = self._require_same_log()
        self._check_cancelled = lambda: _raise_if_interrupted(stop, self._leadership.acquire)
        # After a restore the comparison may take minutes, in which nobody publishes.
        log.info("relay: leading; comparing the log with the store before it publishes")
        check = self._check_cancelled
        self._compared = self._compare(lambda bus: log_identity.require_same_history(bus, check))
        log.info("relay: active")
        self._publisher = self._bus.publisher()
        signals.leader_changed.send_robust(Relay, role="relay", active=True)

    def _stand_by(self) -> None:
        """What is on its way stays in the outbox: the next leader begins with the oldest row."""
        publisher, self._publisher, self._on_the_way = self._publisher, None, None
        if publisher is not None:
            publisher.close()
            log.info("relay: standing by")
            signals.leader_changed.send_robust(Relay, role="relay", active=False)

    def _publish_next(self) -> bool:
        """Send the oldest events, then wait for those sent before; whether there were any.

        While the broker works on one batch, the next is read and sent behind it.
        """
        assert self._publisher is not None
        before = self._on_the_way.pending if self._on_the_way else ()
        pending = outbox.oldest(BATCH, without=[one.position for one in before])
        # Between reading and sending this process may have been frozen for a long time.
        if pending and self._leadership.acquire():
            messages, since = [one.message for one in pending], time.monotonic()
            sent = Sent(pending, messages, self._publisher.send(messages), since)
        else:
            sent = None
        self._finish()
        self._on_the_way = sent
        return bool(before) or sent is not None

    def _finish(self) -> None:
        """Wait for the acknowledgements, and only then delete the rows, if the lock is still
        held: otherwise they are the next relay's, which publishes them once more."""
        if self._on_the_way is not None:
            pending, messages, wait, since = self._on_the_way
            places = wait()
            self._require_behind(pending, places)
            assert self._log is not None
            # While it was frozen since that check, an operator may have accepted another log.
            if self._leadership.acquire() and not outbox.remove(pending, places, self._log):
                log.warning("relay: another log was accepted meanwhile: beginning again with it")
                raise Interrupted
            self._on_the_way = None
            self._failures = 0  # that a batch could be sent is no sign that it arrives
            took_s = time.monotonic() - since
            signals.published.send_robust(Relay, messages=messages, places=places, took_s=took_s)
            self._report_foreign(places)

    def _check_log(self) -> None:
        """Check now and then that it is still the same log, and that nobody else writes to it."""
        self._finish()  # else its own records would have to be looked up
        self._require_same_log()
        # The ends first: of a log that is put back meanwhile, the higher ones.
        ends = self._bus.end_offsets()
        self._compare(log_identity.require_acknowledged)
        self._report({p: (self._compared.get(p, end), end) for p, end in ends.items()})
        self._compared |= ends

    def _compare(self, compare: Callable[[Bus], T]) -> T:
        try:
            return undisturbed(self._bus, compare)
        except HistoryMismatch:
            self._require_same_log()  # if the topic was recreated meanwhile, it says so
            raise

    def _require_behind(self, pending: Iterable[Pending], places: Iterable[Place]) -> None:
        """Raise `LostTail` if a record stands where the log had another one before: it was put
        back while the publisher waited for it. The outbox and the proofs stay as they are, so
        that the next start sees it, too."""
        known = dict(self._compared)
        for one, (partition, offset) in zip(pending, places, strict=True):
            if offset < 0:
                continue  # the broker did not say
            if offset < known.get(partition, 0):
                self._require_same_log()  # if the topic was recreated meanwhile, it says so
                now = f"event {one.event_id}"
                who = "this relay has seen"
                raise LostTail(partition, offset, "another record", now, who, BATCH_STANDS)
            known[partition] = offset + 1

    def _report_foreign(self, places: Iterable[Place]) -> None:
        """Report what stands between these records. One relay writes at a time: it is not ours."""
        foreign: dict[int, tuple[int, int]] = {}
        compared = self._compared
        for partition, offset in places:
            expected = compared.get(partition, offset)
            if offset > expected:
                foreign[partition] = (foreign.get(partition, (expected, 0))[0], offset)
            if offset >= expected:
                compared[partition] = offset + 1
        if foreign:
            self._report(foreign)

    def _report(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        """Only report: consumers halt the partitions where a foreign record contradicts what they
        know. The next start stops for them, when the store may be the one that is wrong."""
        if not any(start < end for start, end in ranges.values()):
            return

        def report(bus: Bus) -> None:
            firsts = bus.begin_offsets()  # what retention has deleted is no contradiction
            left = {p: (max(start, firsts[p]), end) for p, (start, end) in ranges.items()}
            for contradiction in log_identity.contradictions(bus, left, self._check_cancelled):
                log.error("relay: %s", contradiction.text)

        self._compare(report)

    def _require_same_log(self) -> LogIdentity:
        found = log_identity.require_same_log(self._bus.identity())
        self._identity_checked = time.monotonic()
        return found


def _raise_if_interrupted(stop: Flag, is_leader: Callable[[], bool]) -> None:
    """Raise `Interrupted` if the relay is to stop or has lost its lock. Asking also shows the
    others that this thread is not stuck, and keeps the lock."""
    if stop.is_set() or not is_leader():
        raise Interrupted
