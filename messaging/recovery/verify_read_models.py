"""The live read models against the store: each row as the stored events make it."""

import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from messaging.codec import RecordedEvent
from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.eventstore.models import Stream
from messaging.eventstore.scan import StoredEvent
from messaging.projections.bulk_sql import Key, key_of
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import discarded
from messaging.projections.consuming.decoding import recorded_of
from messaging.projections.fold import fold
from messaging.projections.models import DeadLetter
from messaging.projections.read_models import BY_THE_DATABASE, ReadModel, TotalModel
from messaging.projections.registry import Projection
from messaging.projections.rows import RowBatch
from messaging.projections.serving.live import live
from messaging.recovery.verify_log import Events

CHUNK = 1_000
POLL_EVERY_S = 0.2

Rows = dict[type[ReadModel], dict[Key, ReadModel]]


class ReadModelsAgainstStore:
    """Of one projection. Waits for streams that lag, for as long as they make headway."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._discarded = discarded(projection.name)
        self._behind: dict[UUID, int] = {}  # stream -> the version that the store has
        self._streams: list[Stream] = []
        self._rows: Rows = {}
        self._generation = 0

    def read_rows(self, streams: Sequence[Stream]) -> None:
        """Read the rows of these streams as of one moment. Read the events afterwards, so that they
        include all that the rows show."""
        self._streams = self._of_its_types(streams)
        ids = [stream.stream_id for stream in self._streams]
        self._rows = {}
        with transaction.atomic(using=read_alias()):
            dialect_of(connections[read_alias()]).read_at_one_moment(connections[read_alias()])
            self._generation = checkpoints.live_generation(self._name)
            for model in self._projection.models:
                mine = {"generation": self._generation, "stream_id__in": ids}
                rows = model._default_manager.filter(**mine)
                self._rows[model] = {key_of(row): row for row in rows}

    def compare(self, events: Events) -> Iterator[str]:
        """Compare the rows that were read with the events of their streams."""
        row_batch = RowBatch(self._projection, self._generation)
        yield from self._fold(row_batch, events)
        yield from self._differences(row_batch.all_rows())

    def _fold(self, row_batch: RowBatch, events: Events) -> Iterator[str]:
        """Fold the streams as far as the rows show them."""
        for stream in self._streams:
            shown = self._shown(stream.stream_id)
            stored = events.get(stream.stream_id, [])
            if shown > len(stored):
                yield (
                    f"{self._name}: stream {stream.stream_id} is at version {shown}, the store "
                    f"ends at {len(stored)}: run `manage.py restore-events`"
                )
            elif shown < stream.version:
                self._behind[stream.stream_id] = stream.version
            try:
                fold(row_batch, self._recorded(stored[:shown]), self._discarded)
            except Exception as error:
                yield f"{self._name}: stream {stream.stream_id} cannot be folded: {error!r}"

    def _shown(self, stream_id: UUID) -> int:
        """The version of the stream that the rows show."""
        root: Any = self._rows[self._projection.root].get((stream_id,))
        return 0 if root is None else root.version

    def _of_its_types(self, streams: Sequence[Stream]) -> list[Stream]:
        return [one for one in streams if one.stream_type in self._projection.stream_types]

    def foreign(self) -> Iterator[str]:
        """Rows of streams that the store does not know."""
        for model in self._projection.models:
            if issubclass(model, TotalModel):
                continue
            rows = live(self._projection, model).order_by("stream_id")
            ids: Any = rows.values_list("stream_id", flat=True).distinct()
            last = UUID(int=0)
            while chunk := list(ids.filter(stream_id__gt=last)[:CHUNK]):
                known = set(Stream.objects.filter(pk__in=chunk).values_list("pk", flat=True))
                for stream_id in set(chunk) - known:
                    yield (
                        f"{self._name}: {model.__name__} has rows of stream {stream_id}, which "
                        "the store does not know: run `manage.py restore-events`"
                    )
                last = chunk[-1]

    def behind(self, patience_s: float) -> Iterator[str]:
        """Describe the streams that have not reached the version of the store, and why."""
        deadline = time.monotonic() + patience_s
        while self._behind and time.monotonic() < deadline:
            if self._drop_those_that_caught_up():
                deadline = time.monotonic() + patience_s
            time.sleep(POLL_EVERY_S)
        for stream_id, version in self._behind.items():
            root = live(self._projection, self._projection.root).filter(stream_id=stream_id).first()
            shown = 0 if root is None else root.version
            yield (
                f"{self._name}: stream {stream_id} is at version {shown} of {version}: "
                f"{self._why(stream_id)}"
            )

    @property
    def _name(self) -> str:
        return self._projection.name

    def _why(self, stream_id: UUID) -> str:
        parked = DeadLetter.objects.filter(
            projection=self._name,
            generation=checkpoints.live_generation(self._name),
            stream_id=stream_id,
        )
        first = parked.order_by("version").first()
        if first is not None:
            return f"dead letter {first.id} ({first.code}) holds it up"
        if self._projection.inline:
            return f"no command applied it. Run `manage.py rebuild {self._name}`"
        return "it was not consumed. Is `manage.py runconsumer` running?"

    def _drop_those_that_caught_up(self) -> bool:
        before, ids = len(self._behind), list(self._behind)
        for start in range(0, len(ids), CHUNK):
            roots = live(self._projection, self._projection.root).filter(
                stream_id__in=ids[start : start + CHUNK]
            )
            for stream_id, version in roots.values_list("stream_id", "version"):
                if version >= self._behind[stream_id]:
                    del self._behind[stream_id]
        return len(self._behind) < before

    def _recorded(self, events: Sequence[StoredEvent]) -> Iterator[RecordedEvent]:
        return (recorded_of(self._projection, one.envelope, one.data) for one in events)

    def _differences(self, expected: Rows) -> Iterator[str]:
        for model in self._projection.models:
            names = [f.attname for f in model._meta.concrete_fields if not f.primary_key]
            fields = [name for name in names if name != BY_THE_DATABASE]
            there, wanted = self._rows.get(model, {}), expected.get(model, {})
            for key in sorted(there.keys() | wanted.keys(), key=str):
                found, right = _values(there.get(key), fields), _values(wanted.get(key), fields)
                if found != right:
                    yield f"{self._name}: {_describe(model, key)}: {_difference(found, right)}"


def _values(row: ReadModel | None, fields: Sequence[str]) -> dict[str, Any] | None:
    return None if row is None else {name: getattr(row, name) for name in fields}


def _describe(model: type[ReadModel], key: Key) -> str:
    if issubclass(model, TotalModel):
        return " ".join([model.__name__, *map(str, key)])
    return " ".join([f"{model.__name__} of stream {key[0]}", *map(str, key[1:])])


def _difference(found: dict[str, Any] | None, right: dict[str, Any] | None) -> str:
    if found is None:
        return "the row is missing"
    if right is None:
        return "the row should not be there"
    return "; ".join(
        f"{name} is {found[name]!r:.100} instead of {right[name]!r:.100}"
        for name in found
        if found[name] != right[name]
    )
