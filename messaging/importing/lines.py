"""The lines of a history: one event each, checked as if a handler had appended it.

    {"stream": "any-id", "version": 1, "type": "orders.order_placed.v1",
     "at": "2019-04-07T15:13:13+02:00", "actor": "alice", "data": {"customer": "C-17"}}

All of these keys are required. What `data` may be, its event says; the field with the stream's own
id may be left out. "releases" and "reserves" name values that may be used once, by their kind.
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec

from messaging import codec, plausible
from messaging.api import strict_json
from messaging.api.file_ids import id_of
from messaging.bus.base import MAX_RECORD_BYTES
from messaging.eventstore import reservations
from messaging.eventstore.keys import is_of_key, version_8
from messaging.eventstore.repository import REPOSITORIES
from messaging.exceptions import DecodeError, Invalid, PostlogError, UnknownMessage, WrongPayload
from messaging.message import EVENTS, Envelope, naming_of

UNREADABLE = (ValueError, OverflowError, msgspec.MsgspecError)
REFUSED = (Invalid, UnknownMessage, WrongPayload)


Place = tuple[int, int]  # a stream's id and a version; numbers, because UUIDs hash slowly


class Wrong(PostlogError):
    """A line that cannot be stored; the message says why."""

    def __init__(self, reason: str, place: Place | None = None) -> None:
        super().__init__(reason)
        self.place = place  # of its event, where that can be read


class Change(NamedTuple):
    """A value that may be used once, and changes hands with an event."""

    kind: str
    key: str
    stream_id: UUID  # of the reservation
    is_release: bool


class ImportedEvent(NamedTuple):
    number: int  # of the line, from 1
    envelope: Envelope
    event: Any
    payload: str  # as it is stored
    changes: tuple[Change, ...] = ()  # in their order

    @property
    def place(self) -> Place:
        return self.envelope.stream_id.int, self.envelope.version


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    stream: str
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    type: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    actor: str
    data: msgspec.Raw
    releases: dict[str, str] = {}  # kind -> value, before those that it reserves
    reserves: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Line)


def parse(number: int, raw: bytes, latest: datetime) -> ImportedEvent:
    """Read a line. `latest`: no event was recorded later. Raises `Wrong`."""
    place: Place | None = None
    try:
        given = _json(raw)
        line = _decoder.decode(raw)
        stream_id = _stream_id_of(line)
        place = (stream_id.int, line.version)
        return _checked(number, line, given["data"], stream_id, latest)
    except UnicodeDecodeError:
        raise Wrong("it is not valid UTF-8") from None
    except DecodeError as error:  # the line is wrong, not the class
        raise Wrong(error.fault.rstrip("."), place) from None
    except (Wrong, *UNREADABLE, *REFUSED) as error:
        raise Wrong(str(error).rstrip("."), place) from None


def _json(raw: bytes) -> Any:
    try:
        return strict_json.loads_bytes(raw)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise Wrong(f"it is not valid JSON: {error}") from None


def _checked(
    number: int, line: _Line, given: Any, stream_id: UUID, latest: datetime
) -> ImportedEvent:
    at = line.at.astimezone(UTC)
    event, payload = _payload_of(line, given, stream_id)
    event_id = _event_id(line, stream_id, at, given)
    if at > latest:
        raise Wrong(f"it says that it was recorded at {at:%Y-%m-%d %H:%M:%S} UTC, in the future")
    envelope = Envelope(
        event_id=event_id,
        stream_id=stream_id,
        stream_type=naming_of(type(event)).stream,
        version=line.version,
        type=line.type,
        recorded_at=at,
        actor=line.actor,
        command_id=event_id,  # no command of ours led to it
        correlation_id=event_id,
        causation_id=None,
        traceparent="",
    )
    if fault := plausible.fault_of(envelope, event):
        raise Wrong(fault)
    if len(payload) > MAX_RECORD_BYTES // 8:  # a character is at most four bytes
        size = len(codec.encode_record(envelope, payload))
        if size > MAX_RECORD_BYTES:
            raise Wrong(f"this makes {size:,} bytes; {MAX_RECORD_BYTES:,} are stored at most")
    return ImportedEvent(number, envelope, event, payload, _changes_of(line))


def _changes_of(line: _Line) -> tuple[Change, ...]:
    return tuple(
        Change(kind, key, reservations.id_of(kind, key), is_release)
        for is_release, values in ((True, line.releases), (False, line.reserves))
        for kind, key in values.items()
    )


def _stream_id_of(line: _Line) -> UUID:
    """The id of the stream that the line names: by its natural key, where such streams have keys,
    else by a UUID or any other text."""
    newest = EVENTS.get(codec.newest_of(line.type))
    return _id_in(naming_of(newest).stream if newest is not None else "", line.stream)


@lru_cache(10_000)  # lines that follow each other are often about the same thing
def _id_in(stream_type: str, text: str) -> UUID:
    repository = REPOSITORIES.get(stream_type)
    if repository is not None and repository.has_keys:
        return repository.stream_id_of(text)
    stream_id = id_of(text)
    if is_of_key(stream_id):
        raise Wrong(f"{stream_id} has version 8, as ids that natural keys lead to: use another")
    return stream_id


def _payload_of(line: _Line, given: Any, stream_id: UUID) -> tuple[Any, str]:
    """The event, and its payload as it is stored: one of an older version as it is, since all who
    read it lift it."""
    data = bytes(line.data)
    newest = EVENTS.get(line.type)
    if newest is None:
        return codec.decode_event(line.type, data), msgspec.json.format(data, indent=-1).decode()
    own_id = naming_of(newest).id_field
    if own_id and isinstance(given, dict):
        given = {own_id: str(stream_id), **given}  # in front, where most events have it
        data = msgspec.json.encode(given)
    event = codec.decode_event(line.type, data)
    payload = msgspec.json.encode(event)
    # So reading it gives this event. Mostly that shows without reading it.
    if payload == data or (stored := msgspec.json.decode(payload)) == given:
        return event, payload.decode()
    if unknown := _first_unknown(given, stored):
        raise Wrong(f"{line.type} has no field {ascii(unknown)[:60]}")
    return event, codec.encode_event(event)[1]


def _first_unknown(given: Any, stored: Any) -> str:
    """The first key that was given and would be dropped, with where it is; or nothing."""
    if isinstance(given, dict) and isinstance(stored, dict):
        for key, value in given.items():
            if key not in stored:
                return str(key)
            if within := _first_unknown(value, stored[key]):
                return f"{key}.{within}"
    if isinstance(given, list) and isinstance(stored, list):
        for number, (one, other) in enumerate(zip(given, stored, strict=False)):
            if within := _first_unknown(one, other):
                return f"{number}.{within}"
    return ""


def _event_id(line: _Line, stream_id: UUID, at: datetime, given: Any) -> UUID:
    """An id made of all that the line says: the same line has the same id whenever it is read,
    and another event of that version another one, which consumers see."""
    said = [stream_id, line.version, line.type, at, line.actor, given]
    if line.releases or line.reserves:
        said += [line.releases, line.reserves]
    return id_made_of(said)


def id_made_of(said: list[Any]) -> UUID:
    digest = blake2b(msgspec.json.encode(said, order="sorted"), digest_size=16).digest()
    return version_8(int.from_bytes(digest))
