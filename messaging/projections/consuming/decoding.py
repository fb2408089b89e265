"""Decoding: what the records of the log say, and whether to believe them.

A record that is not believed becomes a dead letter that names no stream. So the genuine record
with its version is still applied, and nothing waits behind it.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from messaging import codec, conf, plausible
from messaging.bus.base import LogRecord, partition_of
from messaging.bus.shared import SharedRecord
from messaging.bus.signing import FORGED, Fault, key_ring
from messaging.conf import read_alias
from messaging.exceptions import DecodeError, UnknownMessage
from messaging.message import EVENTS, Envelope, utc_now, wire_name_of
from messaging.projections.consuming.dead_letters import (
    FROM_THE_FUTURE,
    IMPOSSIBLE,
    OF_THE_RING,
    WAITS_FOR_CODE,
    RecordKey,
    record_of,
)
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Projection


class DecodedRecord(NamedTuple):
    """A record with what it says, as far as that can be read."""

    record: LogRecord
    envelope: Envelope | None  # None: it cannot be read that far, or is not believed
    event: Any  # None if it cannot be read, or the projection does not handle it
    failure: str = ""  # why it cannot be read
    code: str = "unreadable"  # of the dead letter that it then becomes
    claims: Envelope | None = None  # of a record that is not believed
    due_at: datetime | None = None  # when to retry it, whichever code parked it

    @property
    def record_key(self) -> RecordKey:
        if self.envelope is not None:
            return self.envelope.event_id
        return (self.record.partition, self.record.offset)

    def concerns(self, projection: Projection) -> bool:
        """Whether the record is of a stream that the projection takes in, or its envelope cannot be
        decoded."""
        said = self.envelope or self.claims
        return said is None or said.stream_type in projection.stream_types


class Decoder:
    """Decodes one batch for one projection."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._wanted = wanted_types(projection)
        self._partitions = conf.postlog().kafka.partitions
        self._latest = utc_now() + plausible.FUTURE
        self._database_was_asked = False
        self._ring = key_ring()
        self._places: dict[bytes, tuple[UUID, int]] = {}  # key -> what was found to be right

    def from_log(self, records: Iterable[LogRecord]) -> list[DecodedRecord]:
        """Read the records that concern the projection; others are left out."""
        found = (self.record_of_the_log(record) for record in records)
        return [one for one in found if one.concerns(self._projection)]

    def record_of_the_log(self, record: LogRecord, *, signed: bool = False) -> DecodedRecord:
        if not isinstance(record, SharedRecord):
            return self._handled(self._believed(record, signed=signed))
        found = record.found  # read once: the buffer clears it when nobody follows any more
        if found is None:
            found = record.found = self._believed(record)
        return self._handled(found)

    def _believed(self, record: LogRecord, *, signed: bool = False) -> DecodedRecord:
        """As every projection reads it. Believe a record only if its signature is right, where
        records are signed, and if a relay can have written it. `signed`: it was refused for its
        signature before, and is not believed because signatures were switched off."""
        found = read(record)
        if unsigned := self._fault_of_signature(record, signed):
            return self._refused(found, unsigned.code, unsigned.reason)
        if (envelope := found.envelope) is None:
            return found
        if fault := self._misplaced(record, envelope):
            return self._refused(found, "unreadable", fault)
        # All projections refuse the same records, whether they handle them or not: where one
        # applied a forgery, the genuine event would be a fork.
        if fault := plausible.fault_of(envelope, found.event):
            return self._refused(found, IMPOSSIBLE, f"This cannot be: {fault}.")
        if self._is_future(at := envelope.recorded_at):
            reason = f"It says that it was recorded at {at:%Y-%m-%d %H:%M:%S} UTC."
            return self._refused(found, FROM_THE_FUTURE, reason, at - plausible.FUTURE)
        return found

    def from_dead_letter(self, dead_letter: DeadLetter) -> DecodedRecord:
        """Read a dead letter. One that names a stream was believed when it was parked."""
        record = record_of(dead_letter)
        if dead_letter.stream_id is not None:
            return self._handled(read(record))
        return self.record_of_the_log(record, signed=dead_letter.code in OF_THE_RING)

    def _handled(self, found: DecodedRecord) -> DecodedRecord:
        """Leave out what the projection has no function for: it need not be readable."""
        said = found.envelope
        if said is None or said.type in self._wanted or said.type not in EVENTS:
            return found
        return DecodedRecord(found.record, said, None)

    def _fault_of_signature(self, record: LogRecord, signed: bool) -> Fault | None:
        if self._ring is not None:
            return self._ring.fault_of(record)
        if signed:
            return Fault(FORGED, "It was refused for its signature, and nothing is verified now.")
        return None

    def _misplaced(self, record: LogRecord, envelope: Envelope) -> str:
        """Say why the record is in the wrong place: in another partition a forgery could overtake
        the genuine event of its version."""
        if self._places.get(record.key or b"") == (envelope.stream_id, record.partition):
            return ""
        key = str(envelope.stream_id)
        if record.key is None or record.key.decode(errors="replace") != key:
            return f"The record's key is {record.key!r}, not its stream id."
        if record.partition != partition_of(key, self._partitions):
            return f"Stream {key} belongs to another partition."
        self._places[record.key] = (envelope.stream_id, record.partition)
        return ""

    def _is_future(self, moment: datetime) -> bool:
        """Compare with this host's clock, then with the read database's, which may be ahead."""
        if moment <= self._latest:
            return False
        if not self._database_was_asked:
            self._database_was_asked = True
            self._latest = plausible.latest(connections[read_alias()])
        return moment > self._latest

    def _refused(
        self, found: DecodedRecord, code: str, why: str, due_at: datetime | None = None
    ) -> DecodedRecord:
        said = found.envelope
        if said is not None:
            why = f"{why} It names version {said.version} of stream {said.stream_id}, event "
            why = f"{why}{said.event_id}, by {ascii(said.actor)[:160]}."
        return DecodedRecord(found.record, None, None, why, code, claims=said, due_at=due_at)


def read(record: LogRecord) -> DecodedRecord:
    """Read a record, as every projection does, and believe it."""
    envelope: Envelope | None = None
    try:
        if record.value is None:
            raise DecodeError("the record has no value")
        envelope, data = codec.decode_envelope(record.value)
        return DecodedRecord(record, envelope, codec.decode_event(envelope.type, data))
    except DecodeError as error:
        return DecodedRecord(record, envelope, None, str(error))
    except UnknownMessage as error:
        return DecodedRecord(record, envelope, None, str(error), WAITS_FOR_CODE)


def decode_stored(
    projection: Projection, record: LogRecord, envelope: Envelope, data: codec.Payload
) -> DecodedRecord:
    """Decode a stored event, with the record that the log would hold of it."""
    try:
        return DecodedRecord(record, envelope, recorded_of(projection, envelope, data).event)
    except DecodeError as error:
        return DecodedRecord(record, envelope, None, str(error))
    except UnknownMessage as error:
        return DecodedRecord(record, envelope, None, str(error), WAITS_FOR_CODE)


def recorded_of(
    projection: Projection, envelope: Envelope, data: codec.Payload
) -> codec.RecordedEvent:
    """Decode an event; None in its place if the projection does not handle it. Raises `DecodeError`
    and `UnknownMessage`."""
    unused = envelope.type in EVENTS and envelope.type not in wanted_types(projection)
    return codec.RecordedEvent(
        envelope, None if unused else codec.decode_event(envelope.type, data)
    )


@cache
def wanted_types(projection: Projection) -> frozenset[str]:
    return frozenset(wire_name_of(event_type) for event_type in projection.appliers)
