"""Kafka as a data store: a repository that reads streams from the log alone, no database.

Loading reads the stream's whole partition, as the log has no index by stream: for inspecting a
history, for tools and for proofs, not for a page.
"""

from collections.abc import Callable
from typing import Generic, TypeVar
from uuid import UUID

from messaging import codec, plausible
from messaging.bus.base import Bus, LogRecord, partition_of
from messaging.bus.signing import UNKNOWN_KEY, KeyRing, key_ring
from messaging.codec import RecordedEvent
from messaging.exceptions import DecodeError, HistoryMismatch
from messaging.message import Envelope

S = TypeVar("S")


class LogRepository(Generic[S]):
    """All streams of one type, read-only. `evolve(state, event)` as a `Repository` has it."""

    def __init__(self, bus: Bus, stream_type: str, evolve: Callable[[S | None, object], S]) -> None:
        self._bus = bus
        self._stream_type = stream_type
        self._evolve = evolve

    def load(self, stream_id: UUID) -> S | None:
        """The state that the stream's events add up to; None if the log has none of them.
        Raises as `history` does."""
        state: S | None = None
        for recorded in self.history(stream_id):
            state = self._evolve(state, recorded.event)
        return state

    def history(self, stream_id: UUID) -> list[RecordedEvent]:
        """The stream's events by version, each once.

        Raises `HistoryMismatch` if one is missing or two tell different histories, `DecodeError`
        and `UnknownMessage` if the payload of one cannot be read.
        """
        found: dict[int, tuple[Envelope, bytes]] = {}
        for envelope, data in self._records(stream_id):
            known, _ = found.setdefault(envelope.version, (envelope, data))
            if known.event_id != envelope.event_id:
                raise HistoryMismatch(
                    f"The log has two events of version {envelope.version} of stream {stream_id}: "
                    f"{known.event_id} and {envelope.event_id}."
                )
        for version in range(1, max(found, default=0)):
            if version not in found:
                raise HistoryMismatch(
                    f"The log has no version {version} of stream {stream_id}: "
                    f"`manage.py republish {stream_id}`."
                )
        return [
            RecordedEvent(envelope, codec.decode_event(envelope.type, data))
            for _, (envelope, data) in sorted(found.items())
        ]

    def _records(self, stream_id: UUID) -> list[tuple[Envelope, bytes]]:
        key = str(stream_id)
        ends, ring = self._bus.end_offsets(), key_ring()
        partition = partition_of(key, len(ends))
        first = self._bus.begin_offsets()[partition]
        return [
            decoded
            for records in self._bus.read(partition, first, ends[partition])
            for record in records
            if record.key == key.encode()
            and record.value is not None
            and _is_signed(record, ring)
            and (decoded := self._decoded(record.value)) is not None
        ]

    def _decoded(self, document: bytes) -> tuple[Envelope, bytes] | None:
        try:
            envelope, data = codec.decode_envelope(document)
        except DecodeError:
            return None  # not ours; if it was, its version is missing
        if plausible.fault_of_document(envelope, data):
            return None
        return (envelope, bytes(data)) if envelope.stream_type == self._stream_type else None


def _is_signed(record: LogRecord, ring: KeyRing | None) -> bool:
    """Raise `HistoryMismatch` for a missing key: what it has signed would be left out."""
    fault = None if ring is None else ring.fault_of(record)
    if fault is not None and fault.code == UNKNOWN_KEY:
        where = f"partition {record.partition}, offset {record.offset}"
        raise HistoryMismatch(f"The record at {where} cannot be verified. {fault.reason}")
    return fault is None
