"""Events as JSON: the payload for the store, and the CloudEvents document for the log.

Old versions of an event are lifted, on decoding, by upcasters:

    @upcaster("posts.post_liked.v1", "posts.post_liked.v2")
    def with_reaction(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "reaction": "thumbs_up"}
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec

from messaging.exceptions import RegistrationError, UnknownMessage, Unreadable, WrongPayload
from messaging.message import EVENTS, Envelope, wire_name_of

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

Payload = str | bytes | msgspec.Raw

Id = Any  # a UUID or its canonical text form, because only that is written

_upcasters: dict[str, tuple[str, Upcaster]] = {}  # wire name -> (next wire name, function)
_encoder = msgspec.json.Encoder()

# What msgspec raises for bytes that are not what they should be; the third for deep nesting.
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Recorded(NamedTuple):
    """An event with what is known of it."""

    envelope: Envelope
    event: Any  # an instance of a class registered with @event


class CloudEvent(msgspec.Struct, kw_only=True):
    """CloudEvents 1.0 (https://github.com/cloudevents/spec), structured mode, with our
    extension attributes; their names are lower case, as the specification asks."""

    specversion: str = "1.0"
    id: UUID
    source: str
    type: str
    subject: UUID  # the stream id
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    datacontenttype: str = "application/json"
    streamtype: str
    streamversion: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]  # as the columns hold
    actor: str
    commandid: UUID
    correlationid: UUID
    causationid: UUID | None = None
    traceparent: str = ""
    data: msgspec.Raw


_record_decoder = msgspec.json.Decoder(CloudEvent)


def upcaster(old: str, new: str) -> Callable[[Upcaster], Upcaster]:
    """Register a function from the payload of `old` to the payload of `new` (wire names)."""

    def register(lift: Upcaster) -> Upcaster:
        if old in _upcasters or old in EVENTS:
            raise RegistrationError(f"{old} has an upcaster or an event class already.")
        _upcasters[old] = (new, lift)
        return lift

    return register


def encode_event(event: object) -> tuple[str, str]:
    """The wire name and the JSON of an event.

    Raises `WrongPayload` unless reading the JSON gives an equal event: msgspec writes a value of
    the wrong type without a word, and an event that nobody can read stays in the store forever.
    """
    wire_name = wire_name_of(type(event))
    try:
        data = _encoder.encode(event)
        read = _event_decoder(wire_name).decode(data)
    except (*_BROKEN, ValueError, TypeError) as error:
        raise WrongPayload(f"{wire_name} is not stored: {error}. Event: {event!r:.500}") from error
    if read != event:
        raise WrongPayload(f"{wire_name} is not stored: it would be read as {read!r:.500}")
    return wire_name, data.decode()


def decode_event(wire_name: str, data: Payload) -> Any:
    """The event of a payload, lifted to the version that the code knows.

    Raises `UnknownMessage` for a type that nobody registered, `Unreadable` for a
    payload that is not of its type.
    """
    try:
        if wire_name in _upcasters:
            return _lift(wire_name, msgspec.json.decode(data))
        return _event_decoder(wire_name).decode(data)
    except _BROKEN as error:
        raise Unreadable(f"{wire_name}: {error}") from error


def encode_record(envelope: Envelope, data: str) -> bytes:
    """The document that goes to the log, of an envelope and the stored payload."""
    e = envelope
    return encode_document(
        data, e.event_id, e.stream_id, e.stream_type, e.version, e.type, e.recorded_at, e.actor,
        e.command_id, e.correlation_id, e.causation_id, e.traceparent,
    )  # fmt: skip


def encode_document(
    data: str,
    event_id: Id,
    stream_id: Id,
    stream_type: str,
    version: int,
    wire_name: str,
    recorded_at: datetime,
    actor: str,
    command_id: Id,
    correlation_id: Id,
    causation_id: Id,
    traceparent: str,
) -> bytes:
    """The same of its parts, in the order of the columns. Ids may come in canonical text
    form: the relay would spend more on making UUIDs than on all the rest."""
    return _encoder.encode(
        CloudEvent(
            id=event_id,
            source=f"/{stream_type}",
            type=wire_name,
            subject=stream_id,
            time=recorded_at,
            streamtype=stream_type,
            streamversion=version,
            actor=actor,
            commandid=command_id,
            correlationid=correlation_id,
            causationid=causation_id,
            traceparent=traceparent,
            data=msgspec.Raw(data.encode()),
        )
    )


def decode_envelope(document: bytes) -> tuple[Envelope, msgspec.Raw]:
    """The envelope and the payload of a record. Raises `Unreadable`."""
    try:
        found = _record_decoder.decode(document)
        time = found.time.astimezone(UTC)  # an offset can lead out of the years there are
    except (*_BROKEN, OverflowError) as error:
        raise Unreadable(str(error)) from error
    envelope = Envelope(
        event_id=found.id,
        stream_id=found.subject,
        stream_type=found.streamtype,
        version=found.streamversion,
        type=found.type,
        recorded_at=time,
        actor=found.actor,
        command_id=found.commandid,
        correlation_id=found.correlationid,
        causation_id=found.causationid,
        traceparent=found.traceparent,
    )
    return envelope, found.data


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (2020-12) of every event's payload, by wire name."""
    return {name: msgspec.json.schema(cls) for name, cls in EVENTS.items()}


def upcast_types() -> list[str]:
    """The wire names that have an upcaster."""
    return sorted(_upcasters)


def _lift(wire_name: str, data: Any) -> Any:
    while wire_name in _upcasters:
        wire_name, lift = _upcasters[wire_name]
        data = lift(data)
    return msgspec.convert(data, _event_class(wire_name), strict=True)


@cache
def _event_decoder(wire_name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_event_class(wire_name), strict=True)


def _event_class(wire_name: str) -> type:
    try:
        return EVENTS[wire_name]
    except KeyError:
        raise UnknownMessage(f"No event is registered as {wire_name!r}.") from None
