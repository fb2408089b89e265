"""The order of a batch: which events are applied, which are repeats, which are parked.

An event is applied if its version is the next of its stream. One that cannot be applied is
parked, later events of its stream join it, and other streams continue.
"""

import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DatabaseError

from messaging.codec import RecordedEvent
from messaging.message import Envelope
from messaging.projections.consuming.dead_letters import (
    ParkedEvent,
    RecordKey,
    any_set_aside,
    discarded,
    waiting_behind,
)
from messaging.projections.consuming.decoding import DecodedRecord
from messaging.projections.registry import Projection
from messaging.projections.rows import RefusedRows, RowBatch
from messaging.transient import is_away, is_beyond_limits

Halted = dict[int, tuple[int, str]]  # partition: the offset that it stops before, and why


@dataclass(slots=True)
class Outcome:
    """The results of a batch, apart from the changed rows."""

    parked: dict[RecordKey, ParkedEvent] = field(default_factory=dict)
    halted: Halted = field(default_factory=dict)
    unblocked: set[UUID] = field(default_factory=set)  # streams whose parked events come next
    failed: dict[RecordKey, str] = field(default_factory=dict)  # in a function: the traceback
    applied: int = 0
    events: list[Envelope] = field(default_factory=list)  # that were applied, of one transaction
    retried: int = 0  # dead letters that were applied

    def add(self, later: "Outcome") -> None:
        self.parked |= later.parked
        self.halted |= later.halted
        self.unblocked |= later.unblocked
        self.failed |= later.failed
        self.applied += later.applied
        self.retried += later.retried


def apply_in_order(
    projection: Projection,
    generation: int,
    batch: Sequence[DecodedRecord],
    *,
    refused: str = "",
    retried_ids: Collection[int] = (),
) -> tuple[RowBatch, Outcome]:
    """Apply the batch to rows in memory. Needs a transaction; the caller writes the rows.

    If an event fails, it starts over without it, on freshly loaded rows, until no new one fails:
    what a failed event has changed in memory must not stay. `refused`: why the database did not
    take what the only event led to. `retried_ids`: of the dead letters that are the batch.
    """
    poison: dict[RecordKey, str] = {batch[0].record_key: refused} if refused and batch else {}
    while True:
        run = _Run(projection, generation, poison)
        run.apply_all(batch, retried_ids)
        if run.outcome.failed.keys() <= poison.keys():
            return run.row_batch, run.outcome
        poison |= run.outcome.failed


class _Run:
    def __init__(
        self, projection: Projection, generation: int, poison: dict[RecordKey, str]
    ) -> None:
        self.row_batch = RowBatch(projection, generation)
        self.outcome = Outcome()
        self._name = projection.name
        self._generation = generation
        self._poison = poison
        self._waiting: dict[UUID, dict[int, UUID | None]] = {}
        self._discarded: Collection[UUID] = ()

    def apply_all(self, batch: Sequence[DecodedRecord], retried_ids: Collection[int]) -> None:
        if any_set_aside(self._name, self._generation):
            streams = {one.envelope.stream_id for one in batch if one.envelope is not None}
            self._waiting = waiting_behind(self._name, self._generation, streams, retried_ids)
            self._discarded = discarded(self._name)
        self.row_batch.load(
            # Load nothing for a refused event: its keys may be why it was refused.
            RecordedEvent(one.envelope, None if self._is_poison(one) else one.event)
            for one in batch
            if one.envelope is not None
        )
        for decoded in batch:
            if decoded.record.partition in self.outcome.halted:
                continue
            if decoded.envelope is None:
                self._park(decoded, decoded.code, decoded.failure)
            else:
                self._apply_one(decoded, decoded.envelope)

    def _apply_one(self, decoded: DecodedRecord, envelope: Envelope) -> None:
        root = self.row_batch.root(envelope.stream_id)
        progress, latest = (0, None) if root is None else (root.version, root.event_id)
        waiting = self._waiting.get(envelope.stream_id, {}) if self._waiting else {}
        if envelope.version <= progress:
            if envelope.version == progress and envelope.event_id != latest:
                self._halt(decoded, envelope, latest)
        elif envelope.version in waiting:
            if envelope.event_id != waiting[envelope.version]:
                self._halt(decoded, envelope, waiting[envelope.version])
        elif envelope.version > progress + 1:
            self._park(decoded, *_why_it_waits(envelope, progress, is_first=not waiting))
        elif self._applied(decoded, envelope) and envelope.version + 1 in waiting:
            self.outcome.unblocked.add(envelope.stream_id)

    def _applied(self, decoded: DecodedRecord, envelope: Envelope) -> bool:
        """Apply the next event of a stream, or park it; return whether it was applied."""
        if self._discarded and envelope.event_id in self._discarded:
            self.row_batch.skip(envelope)
            return True
        if decoded.failure:
            self._park(decoded, decoded.code, decoded.failure)
            return False
        key = envelope.event_id
        if self._is_poison(decoded):
            self._park(decoded, "poison", self._poison[key])
            return False
        try:
            self.row_batch.apply(RecordedEvent(envelope, decoded.event))
        except Exception as error:
            if is_away(error) and not is_beyond_limits(error):
                raise  # the function asked a database; the event is not at fault
            if isinstance(error, DatabaseError):  # PostgreSQL has aborted the transaction
                raise RefusedRows(traceback.format_exc()) from error
            self.outcome.failed[key] = traceback.format_exc()
            self._park(decoded, "poison", self.outcome.failed[key])
            return False
        self.outcome.applied += 1
        self.outcome.events.append(envelope)
        return True

    def _is_poison(self, decoded: DecodedRecord) -> bool:
        return bool(self._poison) and decoded.record_key in self._poison

    def _park(self, decoded: DecodedRecord, code: str, reason: str) -> None:
        envelope = decoded.envelope
        self.outcome.parked[decoded.record_key] = ParkedEvent(
            decoded.record, envelope, code, reason, decoded.due_at
        )
        if envelope is not None:
            waiting = self._waiting.setdefault(envelope.stream_id, {})
            waiting[envelope.version] = envelope.event_id

    def _halt(self, decoded: DecodedRecord, envelope: Envelope, known: UUID | None) -> None:
        """Halt the partition before a record of another history."""
        record = decoded.record
        self.outcome.halted[record.partition] = (
            record.offset,
            f"Fork: version {envelope.version} of stream {envelope.stream_id} was event {known}, "
            f"now offset {record.offset} says it is {envelope.event_id}. Two histories were "
            "published. `manage.py verify` lists where they differ. If the store is right, run "
            "`manage.py rebuild --from store`; if it was put back to an earlier copy, `manage.py "
            f"restore-events`. If no relay of yours wrote one of the two records, declare that one "
            f"invalid: `manage.py reject-record {record.partition} {record.offset} "
            f"{envelope.event_id}`, if it is this one, and start again.",
        )


def _why_it_waits(envelope: Envelope, progress: int, *, is_first: bool) -> tuple[str, str]:
    if not is_first:
        return "behind", "It waits for an earlier event of its stream."
    return "gap", (
        f"Version {progress + 1} of the stream has not come. Republish this stream: "
        f"`manage.py republish {envelope.stream_id}`."
    )
