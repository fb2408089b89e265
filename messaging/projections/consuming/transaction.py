"""What happens to a batch: one transaction on the read database moves the checkpoints, writes the
rows and parks what cannot be applied, or does nothing.

So each event counts once, whatever is delivered again: `checkpoints.advance` comes before any row
is written, and fails for a consumer whose partition or generation somebody else has taken over.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from messaging import signals
from messaging.bus.base import LogRecord, in_batches
from messaging.bus.rejected import without
from messaging.conf import read_alias
from messaging.exceptions import HistoryMismatch
from messaging.projections.consuming import checkpoints, dead_letters
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.checkpoints import Move
from messaging.projections.consuming.decoding import DecodedRecord, Decoder
from messaging.projections.consuming.ordering import Halted, Outcome, apply_in_order
from messaging.projections.models import DeadLetter, SkippedRecord
from messaging.projections.registry import Projection
from messaging.projections.rows import RefusedRows
from messaging.proof import proof_of

log = logging.getLogger("postlog.consuming")

RETRY_BATCH = 1_000  # parked events in one transaction


class RetryResult(NamedTuple):
    """How many parked events of a stream were applied, and how many failed or wait again."""

    applied: int
    parked: int


# --- from the log -----------------------------------------------------------------------------


def consume_all(
    projection: Projection,
    generation: int,
    records: Mapping[int, Sequence[LogRecord]],
    consume_batch: Callable[..., Outcome],
    check_cancelled: Callable[[], None] = lambda: None,
) -> dict[int, str]:
    """Consume the records of a poll, by partition: in one transaction, or in several if they are
    large, if the database refuses rows, or if they unblock parked events.

    Returns the partitions that are halted now, and why. `check_cancelled` is called before each
    stream that is retried, and may raise. Raises as `consume` does.
    """
    halted: Halted = {}
    for part in in_batches([record for some in records.values() for record in some]):
        if rest := _not_halted(halted, part):
            outcome = bisect(rest, consume_batch)
            halted |= outcome.halted
            retry_unblocked(projection, generation, outcome, check_cancelled)
    return {partition: reason for partition, (_, reason) in halted.items()}


def consume(
    projection: Projection,
    generation: int,
    breaker: Breaker,
    records: Sequence[LogRecord],
    *,
    refused: str = "",
) -> Outcome:
    """Consume records of the log in one transaction.

    `refused`: `records` is one record that the database refused; it is parked with this reason.
    Raises `RefusedRows` if the database refuses a row of this batch, `FencedOff` if the checkpoints
    are not where the records begin, `TooManyFailures` if most events fail.
    """
    begun = time.monotonic()
    batch = decode(projection, records)
    with transaction.atomic(using=read_alias(), durable=True):
        outcome = apply_records(projection, generation, breaker, records, batch, refused=refused)
    committed(projection, generation, breaker, outcome)
    _announce(projection, generation, outcome, begun)
    return outcome


def apply_records(
    projection: Projection,
    generation: int,
    breaker: Breaker,
    records: Sequence[LogRecord],
    batch: Sequence[DecodedRecord],
    *,
    refused: str = "",
) -> Outcome:
    """The inside of `consume`'s transaction, to which a rebuild adds its progress."""
    checkpoints.hold_all(projection, generation)
    # Before any row: who lost its partition waits here for the new owner, and then fails.
    checkpoints.advance(projection.name, generation, moves_of(records))
    outcome = apply_batch(projection, generation, breaker, batch, refused=refused)
    dead_letters.park(projection.name, generation, outcome.parked.values())
    for partition, (offset, reason) in outcome.halted.items():
        checkpoints.halt(projection.name, generation, partition, offset, reason)
    return outcome


def apply_batch(
    projection: Projection,
    generation: int,
    breaker: Breaker,
    batch: Sequence[DecodedRecord],
    *,
    refused: str = "",
    retried_ids: Collection[int] = (),
) -> Outcome:
    """Apply events to rows in memory, and write the rows. `retried_ids`: of the dead letters
    that the batch was made of."""
    row_batch, outcome = apply_in_order(
        projection, generation, batch, refused=refused, retried_ids=retried_ids
    )
    breaker.require_mostly_sound(outcome)
    row_batch.write()
    return outcome


def bisect(items: Sequence[Any], apply: Callable[..., Outcome]) -> Outcome:
    """Halve what the database refuses until the item that it refuses is alone, to be parked."""
    try:
        return apply(items)
    except RefusedRows as error:
        if len(items) == 1:
            return apply(items, refused=str(error))
    half = len(items) // 2
    outcome = bisect(items[:half], apply)
    if rest := _not_halted(outcome.halted, items[half:]):
        outcome.add(bisect(rest, apply))
    return outcome


def _not_halted(halted: Halted, items: Sequence[Any]) -> Sequence[Any]:
    return [item for item in items if item.partition not in halted] if halted else items


def decode(projection: Projection, records: Sequence[LogRecord]) -> list[DecodedRecord]:
    """Decode the records that concern the projection and that no operator rejected."""
    return Decoder(projection).from_log(without(records, SkippedRecord.all_of_them()))


def moves_of(records: Sequence[LogRecord]) -> dict[int, Move]:
    firsts: dict[int, int] = {}
    lasts: dict[int, LogRecord] = {}
    for record in records:
        firsts.setdefault(record.partition, record.offset - record.gap)
        lasts[record.partition] = record
    return {p: Move(firsts[p], last.offset + 1, str(proof_of(last))) for p, last in lasts.items()}


def pass_over(projection: Projection, generation: int, moves: Mapping[int, Move]) -> None:
    """Move the checkpoints over offsets that hold no record. Raises `FencedOff`."""
    with transaction.atomic(using=read_alias()):
        checkpoints.advance(projection.name, generation, moves)


def require_dense(records: Mapping[int, Sequence[LogRecord]], positions: Mapping[int, int]) -> None:
    """Raise `HistoryMismatch` unless the records begin at the checkpoints and no offset is missing,
    except for those that hold no record."""
    for partition, part in records.items():
        expected = positions[partition]
        offsets = len(part) + sum(record.gap for record in part)
        if part[0].offset - part[0].gap != expected or part[-1].offset != expected + offsets - 1:
            raise HistoryMismatch(
                f"Partition {partition}: expected {len(part)} records from offset {expected}, got "
                f"{part[0].offset} to {part[-1].offset}. Records are missing from the log. Run "
                "`manage.py rebuild --from store`."
            )


# --- from the dead letters --------------------------------------------------------------------


def retry_stream(projection: Projection, generation: int, stream_id: UUID) -> RetryResult:
    """Apply the parked events of a stream in order, until one fails again or none is left.

    Raises as `consume` does, and `HistoryMismatch` if the rows and the dead letters tell two
    histories of it.
    """
    waiting = DeadLetter.objects.filter(
        projection=projection.name, generation=generation, stream_id=stream_id
    ).order_by("version")
    total = Outcome()
    while not total.parked and (parked := list(waiting[:RETRY_BATCH])):
        total.add(retry_batch(projection, generation, parked))
    return RetryResult(total.retried, len(total.parked))


def retry_batch(projection: Projection, generation: int, parked: list[DeadLetter]) -> Outcome:
    """Apply these dead letters: of one stream, in order, or one that names no stream."""
    return bisect(parked, partial(_apply_parked, projection, generation, Breaker()))


def _apply_parked(
    projection: Projection,
    generation: int,
    breaker: Breaker,
    parked: Sequence[DeadLetter],
    *,
    refused: str = "",
) -> Outcome:
    begun = time.monotonic()
    with transaction.atomic(using=read_alias(), durable=True):
        # A retry moves no checkpoint; lock them so that the partitions' consumers wait.
        checkpoints.hold_all(projection, generation)
        checkpoints.hold(projection.name, generation, {one.partition for one in parked})
        found = dead_letters.still_parked(parked)
        decoder = Decoder(projection)
        batch = {one.id: decoder.from_dead_letter(one) for one in found}
        concerning = [one for one in batch.values() if one.concerns(projection)]
        outcome = apply_batch(
            projection, generation, breaker, concerning, refused=refused, retried_ids=batch.keys()
        )
        for _, reason in outcome.halted.values():
            raise HistoryMismatch(reason)
        keys = {id_: decoded.record_key for id_, decoded in batch.items()}
        dead_letters.settle(projection.name, keys, outcome.parked)
    outcome.retried = len(batch) - len(outcome.parked)
    committed(projection, generation, breaker, outcome)
    _announce(projection, generation, outcome, begun)
    return outcome


def retry_unblocked(
    projection: Projection,
    generation: int,
    outcome: Outcome,
    check_cancelled: Callable[[], None] = lambda: None,
) -> None:
    """Apply the parked events that the batch just committed has unblocked. If this process dies
    first, `AutomaticRetry` does. `check_cancelled` is called before each stream, and may raise."""
    for stream_id in sorted(outcome.unblocked):
        check_cancelled()
        try:
            retry_stream(projection, generation, stream_id)
        except HistoryMismatch as error:  # of this stream: it was parked before, and stays so
            log.error("%s: stream %s: %s", projection.name, stream_id, error)


def committed(projection: Projection, generation: int, breaker: Breaker, outcome: Outcome) -> None:
    """Report what was parked and halted, after the commit."""
    breaker.committed()
    dead_letters.report(projection.name, outcome.parked.values())
    if outcome.parked:
        events = list(outcome.parked.values())
        signals.parked.send_robust(projection, generation=generation, events=events)
    for partition, (_, reason) in outcome.halted.items():
        log.error("%s: partition %d is halted. %s", projection.name, partition, reason)
        signals.halted.send_robust(
            projection, generation=generation, partition=partition, reason=reason
        )


def _announce(projection: Projection, generation: int, outcome: Outcome, begun: float) -> None:
    if outcome.events:
        took_s = time.monotonic() - begun
        signals.applied.send_robust(
            projection, generation=generation, events=outcome.events, took_s=took_s
        )
