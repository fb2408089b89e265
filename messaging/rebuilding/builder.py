"""The builder: builds a new generation beside the live one, then switches readers to it.

If a builder is killed, the next one resumes: every step is one transaction that also
notes how far the rebuild has come, and fails if another builder has taken over.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event as Flag
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from messaging.bus.base import Bus, LogRecord
from messaging.conf import read_alias
from messaging.exceptions import (
    FencedOff,
    HistoryMismatch,
    TooManyFailures,
    UnknownMessage,
)
from messaging.message import utc_now
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.dead_letters import is_ready
from messaging.projections.consuming.decoding import DecodedRecord
from messaging.projections.consuming.ordering import Outcome
from messaging.projections.consuming.transaction import (
    apply_records,
    committed,
    consume_all,
    decode,
    retry_stream,
)
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState, Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.projections.rows import RefusedRows
from messaging.proof import proofs_before
from messaging.rebuilding import from_log, from_store, generations, requests
from messaging.rebuilding.from_log import LogTail, log_tail
from messaging.rebuilding.requests import BuilderReplaced, State
from messaging.workers.leadership import kept
from messaging.workers.threads import take_time

log = logging.getLogger("postlog.rebuild")

MAX_AT_SWITCH = 1_000  # records that are applied while the live consumers wait


class Interrupted(Exception):
    """The process is to stop, or its lock is lost; the rebuild resumes later."""


class Unblocked(Exception):
    """What was applied in the transaction of the switch has unblocked parked events."""


class Builder:
    """Builds one generation. `is_leader`: whether this process still has the rebuild's lock."""

    def __init__(self, rebuild: Rebuild, bus: Bus, is_leader: Callable[[], bool]) -> None:
        self._rebuild = rebuild
        self._projection = PROJECTIONS[rebuild.projection]
        self._bus = bus
        self._is_leader = is_leader
        self._id = uuid4()
        self._breaker = Breaker()
        self._stop = Flag()

    def run(self, stop: Flag) -> None:
        """Build until it has ended, or `stop` is set. What no retry can cure ends it as
        failed; errors of the bus and of the databases are raised."""
        self._stop = stop
        phases: dict[str, Callable[[], None]] = {
            State.ASKED: self._prepare,
            State.FILLING: self._fill,
            State.CATCHING_UP: self._catch_up,
            State.CLEANING_UP: self._clean_up,
        }
        Rebuild.objects.filter(id=self._rebuild.id).update(builder=self._id)
        self._refresh()
        while (phase := phases.get(self._rebuild.state)) is not None:
            try:
                self._say(self._rebuild.state)
                phase()
            except Interrupted:
                return
            except (BuilderReplaced, FencedOff) as error:
                # Checkpoints that are gone belong to a generation that somebody has cleaned up.
                self._refresh()
                if self._rebuild.builder not in (None, self._id):
                    return
                if isinstance(error, FencedOff) and self._rebuild.builder is not None:
                    raise
                Rebuild.objects.filter(id=self._rebuild.id).update(builder=self._id)
            except (HistoryMismatch, TooManyFailures, UnknownMessage) as error:
                log.error("rebuild of %s: %s", self._projection.name, error)
                self._change(state=State.CLEANING_UP, error=str(error))
            self._refresh()
        self._say(self._rebuild.state)

    def _prepare(self) -> None:
        """Note from where the log is followed. That comes before the store is read: what is
        committed after its snapshot is published after this."""
        self._bus.ensure_topic()
        identity = self._bus.identity()
        if self._rebuild.source == Rebuild.Source.STORE:
            state, offsets = State.FILLING, self._bus.end_offsets()
            with self._long_statement():
                total = from_store.count(self._projection)
        else:
            state, offsets = State.CATCHING_UP, self._bus.begin_offsets()
            total = sum(self._bus.end_offsets().values())
            if any(offsets.values()):
                raise HistoryMismatch(
                    "The log does not hold all events any more: its partitions begin at offsets "
                    f"{sorted(set(offsets.values()))}. Run `manage.py rebuild --from store`."
                )
        proofs = proofs_before(self._bus, offsets)
        with transaction.atomic(using=read_alias(), durable=True):
            self._change(state=state, events_total=total)
            name, generation = self._projection.name, self._rebuild.generation
            checkpoints.begin_at(name, generation, identity, offsets, proofs)

    def _fill(self) -> None:
        """Fold the stored events, stream by stream, from where the last builder stopped."""
        from_store.fill(
            self._projection, self._rebuild, self._change, self._check_cancelled,
            self._long_statement,
        )  # fmt: skip
        self._say("all streams are built")
        self._change(state=State.CATCHING_UP)

    def _catch_up(self) -> None:
        """Follow the log until so little is left that it can be applied while the others wait."""
        generation = self._rebuild.generation
        checkpoints.require_identity(self._projection.name, generation, self._bus.identity())
        self._apply_unblocked()
        from_log.fill(
            self._projection, generation, self._bus, self._note_progress, self._check_cancelled,
            self._consume_all,
        )  # fmt: skip
        while True:
            with log_tail(self._projection, generation, self._bus) as tail:
                self._follow(tail)
                self._say("caught up")
                try:
                    if self._switched(tail):
                        return
                except (RefusedRows, Unblocked):
                    # Halving and retrying take transactions of their own: outside the switch.
                    log.info("rebuild of %s: once more, with care", self._projection.name)

    def _follow(self, tail: LogTail) -> None:
        """Consume the log up to its end, each batch in a transaction with the progress."""
        for records, passed in tail.read_to(self._bus.end_offsets(), self._check_cancelled):
            self._consume_all(records)
            with transaction.atomic(using=read_alias()):
                self._pass_over(tail, passed)

    def _consume_all(self, records: Mapping[int, Sequence[LogRecord]]) -> None:
        generation, check = self._rebuild.generation, self._check_cancelled
        halted = consume_all(self._projection, generation, records, self._consume, check)
        for reason in halted.values():
            raise HistoryMismatch(reason)

    def _consume(self, records: Sequence[LogRecord], *, refused: str = "") -> Outcome:
        batch = decode(self._projection, records)
        with transaction.atomic(using=read_alias(), durable=True):
            outcome = self._apply(records, batch, refused=refused)
        committed(self._projection, self._rebuild.generation, self._breaker, outcome)
        return outcome

    def _apply(
        self, records: Sequence[LogRecord], batch: Sequence[DecodedRecord], *, refused: str = ""
    ) -> Outcome:
        self._note_progress(len(records))
        return apply_records(
            self._projection, self._rebuild.generation, self._breaker, records, batch,
            refused=refused,
        )  # fmt: skip

    def _apply_unblocked(self) -> None:
        """Apply what an interrupted builder had unblocked: left parked, it would be missing at the
        switch."""
        name, generation = self._projection.name, self._rebuild.generation
        ready = DeadLetter.objects.filter(is_ready(name), projection=name, generation=generation)
        for stream_id in set(ready.values_list("stream_id", flat=True)):
            assert stream_id is not None  # it has a predecessor
            self._check_cancelled()
            retry_stream(self._projection, generation, stream_id)

    def _switched(self, tail: LogTail) -> bool:
        """Switch readers to this generation, in one transaction; False if too much is left to do
        for that."""
        name, generation = self._projection.name, self._rebuild.generation
        with transaction.atomic(using=read_alias(), durable=True):
            # First, so that a take-over waits until this has ended. In between it would roll this
            # back, and two builders could undo each other for ever.
            self._require_mine()
            # The live consumers wait from here on. Readers do not.
            state = ProjectionState.objects.select_for_update().get(name=name)
            live = Checkpoint.objects.select_for_update().filter(
                projection=name, generation=state.live_generation
            )
            wanted = self._offsets_of(list(live.order_by("partition")), tail.identity)
            if tail.remaining(wanted) > MAX_AT_SWITCH:
                return False
            outcomes = self._apply_rest(tail, wanted)
            self._say("level with the live generation")
            with self._long_statement():
                if not self._rebuild.accept_regression:
                    generations.require_no_regression(
                        self._projection, generation, state.live_generation
                    )
            # This fences the consumers of the old generation.
            live.delete()
            mine = Checkpoint.objects.filter(projection=name, generation=generation)
            mine.update(checked_at=Now())  # level now, however long the rebuild has taken
            state.live_generation = generation
            state.code_version = self._projection.version
            state.save()
            self._change(state=State.CLEANING_UP, switched_at=utc_now())
            self._say("about to switch")
        for outcome in outcomes:
            committed(self._projection, generation, self._breaker, outcome)
        generations.announce_switch(self._projection, generation)
        return True

    def _offsets_of(self, live: Sequence[Checkpoint], identity: str) -> dict[int, int]:
        """Up to where the live consumers have read. A checkpoint of another log does not count, one
        beyond the end counts as the end."""
        ends = self._bus.end_offsets()
        return {
            row.partition: min(row.offset, ends[row.partition])
            for row in live
            if row.identity == identity
        }

    def _apply_rest(self, tail: LogTail, wanted: Mapping[int, int]) -> list[Outcome]:
        """Apply the last records, in the transaction of the switch."""
        outcomes = []
        for records, passed in tail.read_to(wanted, lambda: None):
            if flat := [record for part in records.values() for record in part]:
                outcome = self._apply(flat, decode(self._projection, flat))
                for _, reason in outcome.halted.values():
                    raise HistoryMismatch(reason)
                if outcome.unblocked:
                    raise Unblocked
                outcomes.append(outcome)
            self._pass_over(tail, passed)
        return outcomes

    def _pass_over(self, tail: LogTail, passed: Mapping[int, int]) -> None:
        if passed:
            self._note_progress(0)
            name, generation = self._projection.name, self._rebuild.generation
            checkpoints.advance(name, generation, tail.moves_over(passed))

    def _clean_up(self) -> None:
        """Delete what nobody reads. A builder that freezes here may wake after a later rebuild:
        `_require_mine` stops it."""
        generations.delete_unread(self._projection, self._require_mine, self._check_cancelled)
        self._say("cleaned up")
        self._change(state=requests.ended_as(self._rebuild), ended_at=utc_now())

    def _require_mine(self) -> None:
        """Raise `BuilderReplaced`, or keep others from taking over until the transaction ends."""
        self._change(state=self._rebuild.state)

    def _note_progress(self, count: int) -> None:
        self._change(events_done=F("events_done") + count)

    def _change(self, **values: Any) -> None:
        requests.change(self._rebuild, self._id, **values)

    def _check_cancelled(self) -> None:
        if self._stop.is_set():
            raise Interrupted
        if not self._is_leader():
            log.warning("rebuild of %s: its lock was lost", self._projection.name)
            raise Interrupted

    @contextmanager
    def _long_statement(self) -> Iterator[None]:
        """Wrap a statement that may run for minutes on a large store."""
        take_time(self._stop)
        with kept(self._is_leader):
            yield

    def _refresh(self) -> None:
        self._rebuild.refresh_from_db()

    def _say(self, what: str) -> None:
        log.info("rebuild of %s: %s", self._projection.name, what)
