"""Completing the event store from the log: what it lacks is appended, what differs is refused."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction

from messaging import codec, conf
from messaging.actors import Actors
from messaging.eventstore import receipts, statements
from messaging.eventstore.models import Stream
from messaging.eventstore.scan import events_of
from messaging.eventstore.unit_of_work import SERVER_GENERATED
from messaging.exceptions import DecodeError, HistoryMismatch, Invalid, UnknownMessage
from messaging.message import Envelope, Result
from messaging.recovery.log_index import Logged, LogIndex, digest_of

ResultBuilder = Callable[[Sequence[Any]], tuple[dict[str, UUID], bool]]
F = TypeVar("F", bound=Callable[..., Any])

EVENTS_AT_ONCE = 1_000  # in one transaction, and what is missing to the end of the stream

_result_builders: dict[str, ResultBuilder] = {}


def rebuilds_result(stream_type: str) -> Callable[[F], F]:
    """Register the function that tells, from one command's events, the ids of its result and
    whether it created something. Without one, receipts of such streams are not restored."""

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
class Lacking:
    """What the store lacks of one stream: the events behind `before`, in order."""

    stream_id: UUID
    before: int
    envelopes: list[Envelope]
    payloads: list[str]


def conflicts(copy: LogIndex) -> Iterator[str]:
    """Why the store cannot be completed from this log; nothing if it can."""
    for stream_id in copy.streams():
        logged = copy.of(stream_id)
        row = Stream.objects.filter(pk=stream_id).first()  # first: an append moves both
        stream_type, stored = _stored(stream_id)
        for version, found in sorted(logged.items()):
            event_id, digest = stored.get(version, (found[0].event_id, found[0].digest))
            if len(found) > 1:
                yield (
                    f"stream {stream_id}: the log has two records of version {version}: "
                    + " and ".join(f"event {one.event_id} at {one.place}" for one in found)
                    + ". `manage.py reject-record` declares the one invalid that is not yours"
                )
            elif event_id != found[0].event_id:
                yield (
                    f"stream {stream_id}: version {version} is event {event_id} in the "
                    f"store and {found[0].event_id} at {found[0].place}. The store's was appended "
                    "after it had lost the other: put back a copy from before that, or an empty "
                    "database, and send those commands again. If no relay of yours wrote that "
                    "record, declare it invalid: `manage.py reject-record`"
                )
            elif digest != found[0].digest:
                yield (
                    f"stream {stream_id}: version {version}, event {event_id}, reads otherwise in "
                    f"the store than at {found[0].place}: one of them was changed afterwards"
                )
        known = 0 if row is None else row.version
        yield from _gaps(stream_id, known, logged, stored)
        yield from _of_another_type(stream_id, stream_type, logged)


def _gaps(
    stream_id: UUID,
    known: int,
    logged: Mapping[int, Sequence[Logged]],
    stored: Mapping[int, tuple[UUID, bytes]],
) -> Iterator[str]:
    """Versions that nobody has, and those that the log has and the store has lost although its
    stream is at version `known`. Those are not appended: republished, they would come behind
    later ones, and a store that has lost single rows may have lost more."""
    last = max(known, *logged)
    if missing := [v for v in range(1, last + 1) if v not in logged and v not in stored]:
        yield f"stream {stream_id}: version {missing[0]} is neither in the store nor in the log"
    for version in sorted(logged.keys() - stored.keys()):
        if version <= known:
            one = logged[version][0]
            yield (
                f"stream {stream_id}: it is at version {known} in the store, and version "
                f"{version}, event {one.event_id} at {one.place}, is missing there. The database "
                "is damaged, or its tables were copied at different moments: put back a whole "
                "copy, or an empty database, and run this again"
            )


def _of_another_type(
    stream_id: UUID, stream_type: str | None, logged: Mapping[int, Sequence[Logged]]
) -> Iterator[str]:
    """Records that say that the stream is of another type than the store, or the first of them,
    has. Appended, they would break the stream for ever."""
    known = stream_type or logged[min(logged)][0].stream_type
    for version, found in sorted(logged.items()):
        for one in found:
            if one.stream_type != known:
                yield (
                    f"stream {stream_id}: it is of type {known!r}, and version {version}, event "
                    f"{one.event_id} at {one.place}, says {one.stream_type!r}. If no relay of "
                    "yours wrote that record, declare it invalid: `manage.py reject-record`"
                )


def restore(copy: LogIndex, go_on: Callable[[Restored], None], *, dry: bool = False) -> Restored:
    """Append what the store lacks, whole streams at a time; nothing goes into the outbox, as
    the log has it. Call `conflicts` first. If it is killed, run it again: it resumes.

    Raises `HistoryMismatch` if somebody appends meanwhile.
    """
    done, actors = Restored(), conf.actors()(existing=True)
    for chunk in _chunks(_lacking(copy)):
        go_on(done)
        if not dry:
            for lacking in chunk:
                _make_actors(lacking, actors, done)
            with transaction.atomic(using=statements.DATABASE, durable=True):
                for lacking in chunk:
                    _append(lacking)
                    done.receipts += _restore_receipts(lacking)
        done.events += sum(len(lacking.envelopes) for lacking in chunk)
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


def _lacking(copy: LogIndex) -> Iterator[Lacking]:
    for stream_id in copy.streams():
        stream = Stream.objects.filter(pk=stream_id).first()
        before = 0 if stream is None else stream.version
        behind = {v: found[0] for v, found in copy.of(stream_id).items() if v > before}
        if behind:
            pairs = [_decoded(behind[version]) for version in sorted(behind)]
            yield Lacking(stream_id, before, [e for e, _ in pairs], [data for _, data in pairs])


def _decoded(logged: Logged) -> tuple[Envelope, str]:
    assert logged.document is not None, "the copy was to keep the documents"
    envelope, data = codec.decode_envelope(logged.document)
    return envelope, bytes(data).decode()


def _append(lacking: Lacking) -> None:
    stream = Stream.objects.select_for_update().filter(pk=lacking.stream_id).first()
    if (0 if stream is None else stream.version) != lacking.before:
        raise HistoryMismatch(
            f"Somebody appends to stream {lacking.stream_id} meanwhile. Stop sending commands, "
            "and run this again."
        )
    statements.append(lacking.before, lacking.envelopes, lacking.payloads, publish=False)


def _restore_receipts(lacking: Lacking) -> int:
    """Of the commands whose senders chose their ids, so that sending again stays safe."""
    count = 0
    events = zip(lacking.envelopes, lacking.payloads, strict=True)
    for (command_id, actor), group in groupby(events, lambda p: (p[0].command_id, p[0].actor)):
        if command_id.version == SERVER_GENERATED:
            continue
        result = _result_of(list(group))
        if result is not None:
            count += receipts.restore(actor, command_id, result)
    return count


def _result_of(events: Sequence[tuple[Envelope, str]]) -> Result | None:
    last = events[-1][0]
    build = _result_builders.get(last.stream_type)
    if build is None:
        return None
    try:
        ids, created = build([codec.decode_event(e.type, data) for e, data in events])
    except (UnknownMessage, DecodeError):
        return None
    return Result(stream_id=last.stream_id, version=last.version, ids=ids, created=created)


def _make_actors(lacking: Lacking, actors: Actors, done: Restored) -> None:
    for actor in dict.fromkeys(envelope.actor for envelope in lacking.envelopes):
        try:
            actors.username(actor)
        except Invalid:
            done.no_usernames.add(actor)
    done.actors = actors.made


def _chunks(found: Iterator[Lacking]) -> Iterator[list[Lacking]]:
    chunk: list[Lacking] = []
    for lacking in found:
        chunk.append(lacking)
        if sum(len(one.envelopes) for one in chunk) >= EVENTS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
