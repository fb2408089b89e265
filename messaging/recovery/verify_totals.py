"""The totals of a projection with a single owner against the store."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connections, transaction

from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.eventstore.models import Stream
from messaging.projections.bulk_sql import key_of
from messaging.projections.consuming import checkpoints
from messaging.projections.registry import Projection
from messaging.projections.rows import RowBatch
from messaging.recovery.verify_log import Events, events_by_stream
from messaging.recovery.verify_read_models import CHUNK, ReadModelsAgainstStore


class TotalsAgainstStore(ReadModelsAgainstStore):
    """Totals are made of all streams: they are read once, with the progress of each stream at that
    moment, and compared when all streams are folded up to there. Memory grows by some 300 bytes a
    stream."""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self._folded: RowBatch | None = None
        self._progress: dict[UUID, tuple[int, UUID | None]] = {}

    def read_rows(self, streams: Sequence[Stream]) -> None:
        self._streams = self._of_its_types(streams)
        self._totals()

    def compare(self, events: Events) -> Iterator[str]:
        """Fold the streams; what they add up to is compared by `foreign`."""
        yield from self._fold(self._totals(), events)
        self._totals().forget_streams()
        for stream in self._streams:
            version, event_id = self._progress.pop(stream.stream_id, (0, None))
            stored = events.get(stream.stream_id, [])
            if 0 < version <= len(stored) and stored[version - 1].envelope.event_id != event_id:
                yield (
                    f"{self._name}: stream {stream.stream_id}: version {version} was event "
                    f"{event_id}, the store has {stored[version - 1].envelope.event_id}"
                )

    def foreign(self) -> Iterator[str]:
        self._totals()
        left = list(self._progress)  # of streams that began while the first ones were listed
        for start in range(0, len(left), CHUNK):
            self._streams = list(Stream.objects.filter(pk__in=left[start : start + CHUNK]))
            yield from self.compare(events_by_stream(self._streams))
        yield from self._differences(self._totals().all_rows())
        yield from super().foreign()

    def _shown(self, stream_id: UUID) -> int:
        return self._progress.get(stream_id, (0, None))[0]

    def _totals(self) -> RowBatch:
        """What the streams so far add up to. The first call reads the rows."""
        if self._folded is not None:
            return self._folded
        with transaction.atomic(using=read_alias()):
            dialect_of(connections[read_alias()]).read_at_one_moment(connections[read_alias()])
            self._generation = checkpoints.live_generation(self._name)
            mine = {"generation": self._generation}
            roots = self._projection.root._default_manager.filter(**mine)
            progress = roots.filter(**self._projection.root_filter)
            for row in progress.iterator():
                self._progress[row.stream_id] = (row.version, row.event_id)
            for model in self._projection.models[1:]:
                rows = model._default_manager.filter(**mine)
                self._rows[model] = {key_of(row): row for row in rows}
        self._folded = RowBatch(self._projection, self._generation)
        return self._folded
