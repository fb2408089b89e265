"""Values that may be used once: what lines of a history reserve and release, with their events.

The file says which, by the kinds and keys that handlers give to `UnitOfWork.reserve`.
"""

from collections.abc import Iterator
from dataclasses import replace

from messaging import codec
from messaging.eventstore.keys import in_words
from messaging.eventstore.reservations import STREAM_TYPE, Released, Reserved, reservations
from messaging.importing.lines import Change, ImportedEvent, Wrong, id_made_of
from messaging.importing.streams import Stream, Streams


def events_of(event: ImportedEvent, streams: Streams) -> Iterator[ImportedEvent]:
    """Take what an event that was taken changes of such values, and return it as events. Raises
    `Wrong`."""
    for change in event.changes:
        stream = streams.of_value(change)
        if not stream.is_doubted and not _has_it_already(event, change, stream):
            new = _event_of(event, change, stream)
            stream.take(new)
            yield new


def doubt(event: ImportedEvent, streams: Streams) -> None:
    """Of a line that is wrong: whoever has its values now is not known, and no fault of others."""
    for change in event.changes:
        streams.of_value(change).doubt()


def _has_it_already(event: ImportedEvent, change: Change, stream: Stream) -> bool:
    state = stream.state_by(reservations)
    holder, mine = (state.holder if state is not None else None), event.envelope.stream_id
    value = f"the {in_words(change.kind)} {change.key!r}"
    if change.is_release and holder != mine:
        stream.doubt()
        raise Wrong(f"{value} is not reserved for {mine}, which would release it")
    if not change.is_release and holder not in (None, mine):
        stream.doubt()
        raise Wrong(f"{value} is taken: stream {holder} has it, at this place of the history")
    return not change.is_release and holder == mine


def _event_of(event: ImportedEvent, change: Change, stream: Stream) -> ImportedEvent:
    kind = Released if change.is_release else Reserved
    new = kind(kind=change.kind, holder=event.envelope.stream_id)
    wire_name, payload = codec.encode_event(new)
    version, at = stream.version + 1, event.envelope.recorded_at
    envelope = replace(
        event.envelope,
        event_id=id_made_of([event.envelope.event_id, wire_name, change.stream_id]),
        stream_id=change.stream_id,
        stream_type=STREAM_TYPE,
        version=version,
        type=wire_name,
        recorded_at=at if stream.at is None else max(at, stream.at),
    )
    return ImportedEvent(event.number, envelope, new, payload)
