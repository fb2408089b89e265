"""The store against the log, stream by stream."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from uuid import UUID

from messaging.bus.base import Bus
from messaging.bus.signing import key_ring
from messaging.eventstore.models import Event, LogIdentity, Outbox, Stream
from messaging.eventstore.scan import StoredEvent, events_of
from messaging.recovery.log_index import LogIndex, digest_of

STREAMS = 500  # compared at once

Events = Mapping[UUID, Sequence[StoredEvent]]  # of each stream, by version


def require_same_identity(bus: Bus) -> Iterator[str]:
    identity = str(bus.identity())
    known = LogIdentity.objects.values_list("identity", flat=True).first()
    if known is not None and known != identity:
        yield (
            f"the store has published to another log ({known}) than this one ({identity}): run "
            "`manage.py republish --all --accept-new-log` if the new one is right"
        )


def all_streams() -> Iterator[list[Stream]]:
    """The streams of the store, in chunks, by id. Nothing stays open between them."""
    last = UUID(int=0)
    while chunk := list(Stream.objects.filter(stream_id__gt=last).order_by("stream_id")[:STREAMS]):
        yield chunk
        last = chunk[-1].stream_id


def events_by_stream(streams: Sequence[Stream]) -> Events:
    stored = events_of([stream.stream_id for stream in streams])
    groups = groupby(stored, key=lambda one: one.envelope.stream_id)
    return {stream_id: list(events) for stream_id, events in groups}


class StoreAgainstLog:
    """What is missing in the log at first may be on its way: `missing` checks it again."""

    def __init__(self, index: LogIndex) -> None:
        self._index = index
        self.events = 0
        self._unseen: list[tuple[UUID, int]] = []

    def compare(self, streams: Sequence[Stream], events: Events) -> Iterator[str]:
        """`events` were read after the streams."""
        for stream in streams:
            stored = events.get(stream.stream_id, [])
            self.events += len(stored)
            yield from self._stream(stream, stored)

    def _stream(self, stream: Stream, stored: Sequence[StoredEvent]) -> Iterator[str]:
        stream_id = stream.stream_id
        versions = [one.envelope.version for one in stored]
        if versions != list(range(1, len(versions) + 1)) or len(versions) < stream.version:
            yield (
                f"stream {stream_id}: the store has versions {ranges(versions)} of "
                f"{stream.version}: run `manage.py restore-events`"
            )
        logged = self._index.records_of(stream_id)
        for one in stored:
            version = one.envelope.version
            found = logged.pop(version, [])
            if not found:
                self._unseen.append((stream_id, version))
            for other in found:
                if other.event_id != one.envelope.event_id:
                    yield (
                        f"stream {stream_id}: version {version} is event "
                        f"{one.envelope.event_id} in the store and {other.event_id} at "
                        f"{other.location}: two histories (`manage.py reject-record` declares a "
                        "record invalid that no relay of yours wrote)"
                    )
                elif other.digest != digest_of(one.document()):
                    yield f"stream {stream_id}: version {version} differs at {other.location}"
        if logged:
            yield (
                f"stream {stream_id}: the log has versions {ranges(sorted(logged))}, the store has "
                "not: run `manage.py restore-events`"
            )

    def streams_of_the_log_alone(self) -> Iterator[str]:
        for stream_id in self._index.streams():
            if not Stream.objects.filter(stream_id=stream_id).exists():
                yield (
                    f"stream {stream_id}: the log has it, the store has not: run "
                    "`manage.py restore-events`"
                )

    def missing(self, bus: Bus, ends: dict[int, int]) -> Iterator[str]:
        """What is neither in the log nor in the outbox. `ends`: to where the log was read."""
        self._unseen = [one for one in self._unseen if not _waits(*one)]
        # What has left the outbox by now was acknowledged, so it is before these ends.
        with LogIndex(len(ends), ring=key_ring()) as rest:
            rest.add(bus, ends, bus.end_offsets())
            for stream_id, group in groupby(self._unseen, key=lambda one: one[0]):
                lost = sorted({version for _, version in group} - rest.records_of(stream_id).keys())
                if lost:
                    yield (
                        f"stream {stream_id}: versions {ranges(lost)} are not in the log: run "
                        f"`manage.py republish {stream_id}`"
                    )


def _waits(stream_id: UUID, version: int) -> bool:
    event = Event.objects.filter(stream_id=stream_id, version=version).values("position")
    return Outbox.objects.filter(position__in=event).exists()


def ranges(versions: Sequence[int]) -> str:
    """[1, 2, 3, 7] -> "1-3, 7"."""
    groups = groupby(enumerate(versions), key=lambda pair: pair[1] - pair[0])
    runs = [[version for _, version in group] for _, group in groups]
    return (
        ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "none"
    )
