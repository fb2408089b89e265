"""The CloudEvents document of an event, as the log holds it."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from messaging.codec.payload import BROKEN
from messaging.exceptions import DecodeError
from messaging.message import Envelope, envelope_of

Id = Any  # a UUID or its canonical text form, because only that is written

_encoder = msgspec.json.Encoder()


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
    """The envelope and the payload of a record. Raises `DecodeError`."""
    try:
        found = _record_decoder.decode(document)
        time = found.time.astimezone(UTC)  # an offset can lead out of the years there are
    except (*BROKEN, OverflowError) as error:
        raise DecodeError(str(error)) from error
    envelope = envelope_of(
        found.id, found.subject, found.streamtype, found.streamversion, found.type, time,
        found.actor, found.commandid, found.correlationid, found.causationid, found.traceparent,
    )  # fmt: skip
    return envelope, found.data
