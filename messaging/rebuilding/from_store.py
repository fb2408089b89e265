"""Filling a generation from the event store: each stream is folded once, and written once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from django.db import transaction
from django.db.models import F

from messaging import conf
from messaging.bus.base import BATCH_BYTES, LogRecord, partition_of
from messaging.conf import read_alias
from messaging.eventstore.models import Event
from messaging.eventstore.scan import BEGINNING, StoredEvent, stored_events
from messaging.exceptions import HistoryMismatch
from messaging.projections.consuming import checkpoints, dead_letters
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.decoding import DecodedRecord, decode_stored, recorded_of
from messaging.projections.consuming.ordering import Outcome
from messaging.projections.consuming.transaction import (
    apply_batch,
    bisect,
    committed,
    retry_unblocked,
)
from messaging.projections.fold import fold
from messaging.projections.models import Rebuild
from messaging.projections.registry import Projection
from messaging.projections.rows import RowBatch

CHUNK = 4_000  # events in one transaction, rounded up to whole streams
MAX_CHUNK = 4 * CHUNK  # but then it is cut within the stream

Change = Callable[..., None]


class BadChunk(Exception):
    """One of its events cannot be applied: they are applied one by one."""


def count(projection: Projection) -> int:
    return Event.objects.filter(stream_type__in=projection.stream_types).count()


def fill(
    projection: Projection,
    rebuild: Rebuild,
    change: Change,
    check_cancelled: Callable[[], None],
    long_statement: Callable[[], AbstractContextManager[None]],
) -> None:
    """Fold all stored events of the projection's streams, from where the last builder stopped.

    `change(**values)` notes progress in the open transaction, `check_cancelled` is called before
    each chunk and may raise, `long_statement` wraps the query.
    """
    after = BEGINNING if rebuild.at_stream is None else (rebuild.at_stream, rebuild.at_version)
    breaker = Breaker()
    with ExitStack() as scan:
        with long_statement():  # PostgreSQL may sort all events before it gives the first
            events = scan.enter_context(stored_events(projection.stream_types, after))
        last = after[0]
        for chunk in chunks(events):
            check_cancelled()
            continues = chunk[0].envelope.stream_id == last
            try:
                with transaction.atomic(using=read_alias(), durable=True):
                    note_progress(change, chunk)
                    _fold(projection, rebuild.generation, chunk, continues=continues)
            except BadChunk:
                one = partial(_apply, projection, rebuild.generation, breaker, change)
                outcome = bisect(chunk, one)
                retry_unblocked(projection, rebuild.generation, outcome, check_cancelled)
            last = chunk[-1].envelope.stream_id


def _fold(
    projection: Projection, generation: int, chunk: Sequence[StoredEvent], *, continues: bool
) -> None:
    """Bulk-insert the rows of these streams: they have none yet, unless the chunk continues one.
    Totals may have rows by now. Raises `BadChunk` if one of the events is bad."""
    checkpoints.hold_all(projection, generation)  # an operator may retry what is parked meanwhile
    row_batch = RowBatch(projection, generation)
    may_have_rows = continues or projection.single_owner
    try:
        events = [recorded_of(projection, one.envelope, one.data) for one in chunk]
        if may_have_rows:
            row_batch.load(events)
        fold(row_batch, events, dead_letters.discarded(projection.name))
        row_batch.write(insert_only=not may_have_rows)
    except Exception as error:
        # Also if a server is away: applying the events one by one raises that error again, and
        # parks nothing.
        raise BadChunk from error


def _apply(
    projection: Projection,
    generation: int,
    breaker: Breaker,
    change: Change,
    chunk: Sequence[StoredEvent],
    *,
    refused: str = "",
) -> Outcome:
    """As the consumer does it, without checkpoints: for a chunk in which an event is bad."""
    batch = [_decoded(projection, one) for one in chunk]
    with transaction.atomic(using=read_alias(), durable=True):
        note_progress(change, chunk)
        checkpoints.hold_all(projection, generation)
        outcome = apply_batch(projection, generation, breaker, batch, refused=refused)
        dead_letters.park(projection.name, generation, outcome.parked.values())
        for _, reason in outcome.halted.values():
            raise HistoryMismatch(reason)
    committed(projection, generation, breaker, outcome)
    return outcome


def _decoded(projection: Projection, one: StoredEvent) -> DecodedRecord:
    key = str(one.envelope.stream_id)
    partition = partition_of(key, conf.postlog().kafka.partitions)
    record = LogRecord(partition, dead_letters.NOT_IN_LOG, key.encode(), one.document())
    return decode_stored(projection, record, one.envelope, one.data)


def note_progress(change: Change, items: Sequence[StoredEvent]) -> None:
    last = items[-1].envelope
    change(
        events_done=F("events_done") + len(items),
        at_stream=last.stream_id,
        at_version=last.version,
    )


def chunks(events: Iterator[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """Whole streams, unless one is very long or large."""
    chunk: list[StoredEvent] = []
    size = 0
    for one in events:
        ends = len(chunk) >= CHUNK or size >= BATCH_BYTES
        long = len(chunk) >= MAX_CHUNK or size >= 2 * BATCH_BYTES
        if ends and (long or one.envelope.stream_id != chunk[-1].envelope.stream_id):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += len(one.data)  # characters: counting bytes would encode all of it
    if chunk:
        yield chunk
