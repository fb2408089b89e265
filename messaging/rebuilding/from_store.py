"""Filling a generation from the event store: each stream is folded once, and written once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from django.db import transaction
from django.db.models import F

from messaging import codec, conf
from messaging.bus.base import BATCH_BYTES, Record, partition_of
from messaging.codec import Recorded
from messaging.eventstore.models import Event
from messaging.eventstore.scan import BEGINNING, Stored, stored_events
from messaging.exceptions import DecodeError, UnknownMessage
from messaging.message import EVENTS
from messaging.projections.bulk_sql import DATABASE
from messaging.projections.consuming.dead_letters import NOT_IN_LOG, WAITS_FOR_CODE, discarded
from messaging.projections.consuming.decoding import Decoded, wanted_types
from messaging.projections.consuming.delivery import Delivery
from messaging.projections.models import Rebuild
from messaging.projections.registry import Projection
from messaging.projections.rows import Session

CHUNK = 4_000  # events in one transaction, and what is missing to the end of the last stream
LARGEST_CHUNK = 4 * CHUNK  # but then it is cut within the stream

Change = Callable[..., None]


class BadChunk(Exception):
    """One of its events cannot be applied: they are taken one by one."""


class StoreDelivery(Delivery[Stored]):
    """Of stored events, one by one: for the chunks in which one is bad."""

    def __init__(self, projection: Projection, generation: int, note: Change) -> None:
        super().__init__(projection, generation)
        self._note = note
        self._wanted = wanted_types(projection)

    def advance(self, items: Sequence[Stored]) -> None:
        note_progress(self._note, items)

    def decode(self, items: Sequence[Stored]) -> list[Decoded]:
        return [self._decode(one) for one in items]

    def _decode(self, one: Stored) -> Decoded:
        key = str(one.envelope.stream_id)
        partition = partition_of(key, conf.postlog().kafka.partitions)
        record = Record(partition, NOT_IN_LOG, key.encode(), one.document())
        try:
            return Decoded(record, one.envelope, event_of(one, self._wanted))
        except DecodeError as error:
            return Decoded(record, one.envelope, None, str(error))
        except UnknownMessage as error:
            return Decoded(record, one.envelope, None, str(error), WAITS_FOR_CODE)


class StoreFill:
    """`change(**values)` notes the progress of the rebuild in the transaction that is open."""

    def __init__(self, projection: Projection, rebuild: Rebuild, change: Change) -> None:
        self._projection = projection
        self._generation = rebuild.generation
        self._after = (
            BEGINNING if rebuild.at_stream is None else (rebuild.at_stream, rebuild.at_version)
        )
        self._change = change
        self._wanted = wanted_types(projection)
        self._discarded = discarded(projection.name)
        self._delivery = StoreDelivery(projection, self._generation, change)

    @staticmethod
    def count(projection: Projection) -> int:
        return Event.objects.filter(stream_type=projection.stream_type).count()

    def run(
        self,
        go_on: Callable[[], None],
        long_statement: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`go_on` is called between chunks, `long_statement` stands around the query."""
        with ExitStack() as scan:
            with long_statement():  # PostgreSQL may sort all events before it gives the first
                opening = stored_events(self._projection.stream_type, self._after)
                events = scan.enter_context(opening)
            last = self._after[0]
            for chunk in chunks(events):
                go_on()
                try:
                    with transaction.atomic(using=DATABASE, durable=True):
                        note_progress(self._change, chunk)
                        self._fold(chunk, goes_on=chunk[0].envelope.stream_id == last)
                except BadChunk:
                    self._delivery.deliver(chunk)
                last = chunk[-1].envelope.stream_id

    def _fold(self, chunk: Sequence[Stored], *, goes_on: bool) -> None:
        """All rows in memory, and then into tables where none of them can be yet, unless the
        chunk goes on with a stream. Raises `BadChunk` if one of the events is bad."""
        session = Session(self._projection, self._generation)
        try:
            events = [recorded_of(one, self._wanted) for one in chunk]
            if goes_on:
                session.load(events)
            for recorded in events:
                envelope = recorded.envelope
                root = session.root(envelope.stream_id)
                if envelope.version != (root.version if root is not None else 0) + 1:
                    raise BadChunk  # its predecessor was parked
                if envelope.event_id in self._discarded:
                    session.skip(envelope)
                else:
                    session.apply(recorded)
            session.write(fresh=not goes_on)
        except Exception as error:
            # Also if a server is away. Applying the events one by one then raises that error and
            # parks nothing.
            raise BadChunk from error


def recorded_of(one: Stored, wanted: set[str]) -> Recorded:
    """Raises `DecodeError` and `UnknownMessage`."""
    return Recorded(one.envelope, event_of(one, wanted))


def event_of(one: Stored, wanted: set[str]) -> Any:
    """None where the projection has no use for it."""
    wire_name = one.envelope.type
    if wire_name in EVENTS and wire_name not in wanted:
        return None
    return codec.decode_event(wire_name, one.data)


def note_progress(change: Change, items: Sequence[Stored]) -> None:
    last = items[-1].envelope
    place = {"at_stream": last.stream_id, "at_version": last.version}
    change(events_done=F("events_done") + len(items), **place)


def chunks(events: Iterator[Stored]) -> Iterator[list[Stored]]:
    """Whole streams, unless one is very long or large."""
    chunk: list[Stored] = []
    size = 0
    for one in events:
        ends = len(chunk) >= CHUNK or size >= BATCH_BYTES
        long = len(chunk) >= LARGEST_CHUNK or size >= 2 * BATCH_BYTES
        if ends and (long or one.envelope.stream_id != chunk[-1].envelope.stream_id):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += len(one.data)  # characters: counting bytes would encode all of it
    if chunk:
        yield chunk
