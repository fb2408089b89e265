"""Completing the event store from the log: what it lacks is appended, what differs is refused."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction

from messaging import codec, conf, inline
from messaging.actors import Actors
from messaging.conf import write_alias
from messaging.eventstore import receipts, statements
from messaging.eventstore.models import Stream
from messaging.eventstore.scan import events_of
from messaging.eventstore.unit_of_work import SERVER_GENERATED
from messaging.exceptions import DecodeError, HistoryMismatch, Invalid, UnknownMessage
from messaging.message import Envelope, Position, Result
from messaging.recovery.log_index import IndexedRecord, LogIndex, digest_of

ResultBuilder = Callable[[Sequence[Any]], tuple[dict[str, UUID], bool] | None]
F = TypeVar("F", bound=Callable[..., Any])

EVENTS_AT_ONCE = 1_000  # in one transaction, and what is missing to the end of the stream

_result_builders: dict[str, ResultBuilder] = {}


def rebuilds_result(stream_type: str) -> Callable[[F], F]:
    """Register the function that returns the ids of a command's result, and whether it created
    something, from the command's events in a stream of this type. Without one, receipts of commands
    that name such streams are not restored.

    It returns None if these events come of a command that names a stream of another type.
    """

    def register(function: F) -> F:
        _result_builders[stream_type] = function
        return function

    return register


@dataclass(slots=True)
class Restored:
    """What was done, or would be."""

    events: int = 0
    streams: int = 0
    receipts: int = 0
    actors: int = 0
    no_usernames: set[str] = field(default_factory=set)  # actors that cannot be accounts


@dataclass(frozen=True, slots=True)
class MissingEvents:
    """The events of one stream that the store lacks, after version `before`, in order."""

    stream_id: UUID
    before: int
    envelopes: list[Envelope]
    payloads: list[str]

    def position(self) -> Position:
        return Position(self.envelopes[0].stream_type, self.stream_id, self.before)


def conflicts(index: LogIndex) -> Iterator[str]:
    """Say why the store cannot be completed from this log; nothing if it can."""
    for stream_id in index.streams():
        logged = index.records_of(stream_id)
        row = Stream.objects.filter(pk=stream_id).first()  # first: an append moves both
        stream_type, stored = _stored(stream_id)
        for version, found in sorted(logged.items()):
            event_id, digest = stored.get(version, (found[0].event_id, found[0].digest))
            if len(found) > 1:
                yield (
                    f"stream {stream_id}: the log has two records of version {version}: "
                    + " and ".join(f"event {one.event_id} at {one.location}" for one in found)
                    + ". `manage.py reject-record` declares the one invalid that is not yours"
                )
            elif event_id != found[0].event_id:
                yield (
                    f"stream {stream_id}: version {version} is event {event_id} in the "
                    f"store and {found[0].event_id} at {found[0].location}. The store's was "
                    "appended after it had lost the other: put back a copy from before that, or an "
                    "empty database, and send those commands again. If no relay of yours wrote "
                    "that record, declare it invalid: `manage.py reject-record`"
                )
            elif digest != found[0].digest:
                yield (
                    f"stream {stream_id}: version {version}, event {event_id}, reads otherwise in "
                    f"the store than at {found[0].location}: one of them was changed afterwards"
                )
        known = 0 if row is None else row.version
        yield from _gaps(stream_id, known, logged, stored)
        yield from _of_another_type(stream_id, stream_type, logged)


def _gaps(
    stream_id: UUID,
    known: int,
    logged: Mapping[int, Sequence[IndexedRecord]],
    stored: Mapping[int, tuple[UUID, bytes]],
) -> Iterator[str]:
    """Versions that neither has, and those that the store has lost although its stream is at
    version `known`. The lost ones are not appended: republished, they would follow later ones, and
    a store that has lost single rows may have lost more."""
    last = max(known, *logged)
    if missing := [v for v in range(1, last + 1) if v not in logged and v not in stored]:
        yield f"stream {stream_id}: version {missing[0]} is neither in the store nor in the log"
    for version in sorted(logged.keys() - stored.keys()):
        if version <= known:
            one = logged[version][0]
            yield (
                f"stream {stream_id}: it is at version {known} in the store, and version "
                f"{version}, event {one.event_id} at {one.location}, is missing there. The "
                "database is damaged, or its tables were copied at different moments: put back a "
                "whole copy, or an empty database, and run this again"
            )


def _of_another_type(
    stream_id: UUID, stream_type: str | None, logged: Mapping[int, Sequence[IndexedRecord]]
) -> Iterator[str]:
    """Records whose stream type is not that of the store, or of the first record. Appended, they
    would break the stream for ever."""
    known = stream_type or logged[min(logged)][0].stream_type
    for version, found in sorted(logged.items()):
        for one in found:
            if one.stream_type != known:
                yield (
                    f"stream {stream_id}: it is of type {known!r}, and version {version}, event "
                    f"{one.event_id} at {one.location}, says {one.stream_type!r}. If no relay of "
                    "yours wrote that record, declare it invalid: `manage.py reject-record`"
                )


def restore(index: LogIndex, report: Callable[[Restored], None], *, dry: bool = False) -> Restored:
    """Append what the store lacks, whole streams at a time; nothing goes into the outbox, as
    the log has it. Call `conflicts` first. If this is killed, run it again: it resumes.

    `report` is called before each chunk, and may raise. Raises `HistoryMismatch` if somebody
    appends meanwhile.
    """
    done, actors = Restored(), conf.actors()(existing=True)
    for chunk in _chunks(_missing_events(index)):
        report(done)
        if not dry:
            for missing in chunk:
                _make_actors(missing, actors, done)
            with transaction.atomic(using=write_alias(), durable=True):
                for missing in chunk:
                    _append(missing)
                    done.receipts += _restore_receipts(missing, index)
                inline.apply([missing.position() for missing in chunk])
        done.events += sum(len(missing.envelopes) for missing in chunk)
        done.streams += len(chunk)
    return done


def _stored(stream_id: UUID) -> tuple[str | None, Mapping[int, tuple[UUID, bytes]]]:
    """The stream's type, if the store has it, and version -> event id and digest."""
    events = {one.envelope.version: one for one in events_of([stream_id])}
    stream_type = next((one.envelope.stream_type for one in events.values()), None)
    return stream_type, {
        version: (one.envelope.event_id, digest_of(one.document()))
        for version, one in events.items()
    }


def _missing_events(index: LogIndex) -> Iterator[MissingEvents]:
    for stream_id in index.streams():
        stream = Stream.objects.filter(pk=stream_id).first()
        before = 0 if stream is None else stream.version
        later = {v: found[0] for v, found in index.records_of(stream_id).items() if v > before}
        if later:
            pairs = [_decoded(later[version]) for version in sorted(later)]
            yield MissingEvents(
                stream_id, before, [e for e, _ in pairs], [data for _, data in pairs]
            )


def _decoded(logged: IndexedRecord) -> tuple[Envelope, str]:
    assert logged.document is not None, "the index was to keep the documents"
    envelope, data = codec.decode_envelope(logged.document)
    return envelope, bytes(data).decode()


def _append(missing: MissingEvents) -> None:
    stream = Stream.objects.select_for_update().filter(pk=missing.stream_id).first()
    if (0 if stream is None else stream.version) != missing.before:
        raise HistoryMismatch(
            f"Somebody appends to stream {missing.stream_id} meanwhile. Stop sending commands, "
            "and run this again."
        )
    statements.append(missing.before, missing.envelopes, missing.payloads, publish=False)


def _restore_receipts(missing: MissingEvents, index: LogIndex) -> int:
    """Restore receipts of commands whose senders chose the ids, so that resending stays safe."""
    count = 0
    events = zip(missing.envelopes, missing.payloads, strict=True)
    for (command_id, actor), group in groupby(events, lambda p: (p[0].command_id, p[0].actor)):
        if command_id.version == SERVER_GENERATED:
            continue
        result = _result_of(list(group), index)
        if result is not None:
            count += receipts.restore(actor, command_id, result)
    return count


def _result_of(events: Sequence[tuple[Envelope, str]], index: LogIndex) -> Result | None:
    last = events[-1][0]
    build = _result_builders.get(last.stream_type)
    if build is None:
        return None
    try:
        built = build([codec.decode_event(e.type, data) for e, data in events])
    except (UnknownMessage, DecodeError):
        return None
    if built is None:
        return None
    ids, created = built
    others = index.positions_of(last.actor, last.command_id)
    named = Position(last.stream_type, last.stream_id, last.version)
    return Result(
        positions=(named, *(one for one in others if one.stream_id != last.stream_id)),
        ids=ids,
        created=created,
        correlation_id=last.correlation_id,
    )


def _make_actors(missing: MissingEvents, actors: Actors, done: Restored) -> None:
    machines = conf.postlog().machine_actors
    for actor in dict.fromkeys(envelope.actor for envelope in missing.envelopes):
        if actor in machines:
            continue
        try:
            actors.username(actor)
        except Invalid:
            done.no_usernames.add(actor)
    done.actors = actors.made


def _chunks(found: Iterator[MissingEvents]) -> Iterator[list[MissingEvents]]:
    chunk: list[MissingEvents] = []
    for missing in found:
        chunk.append(missing)
        if sum(len(one.envelopes) for one in chunk) >= EVENTS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
