"""What a projection makes of events, without a database: by the one fold (projections/fold.py) that
a rebuild from the store and `verify` use.

    rows = project(orders, PLACED, LINE_ADDED)
    assert rows.get(Order).total == 3
    assert [line.item for line in rows.all(Line)] == ["tea"]
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from messaging import plausible
from messaging.codec import RecordedEvent, encode_event
from messaging.message import Envelope, naming_of
from messaging.projections.consuming.decoding import recorded_of
from messaging.projections.fold import fold
from messaging.projections.read_models import BY_THE_DATABASE, ReadModel
from messaging.projections.registry import Projection
from messaging.projections.rows import RowBatch
from messaging.testing.events import require_events

R = TypeVar("R", bound=ReadModel)

STREAM = UUID(int=1)  # of events that do not name theirs
ACTOR = "somebody"
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)  # each event is recorded a second after the last
GENERATION = 1


class ProjectedRows:
    """The rows that a projection has made."""

    def __init__(self, projection: Projection, row_batch: RowBatch) -> None:
        self._projection = projection
        self._rows = row_batch.all_rows()

    def all(self, model: type[R], **fields: Any) -> list[R]:
        """The rows of a model whose fields have these values, in the order of their making.

        assert len(project(orders, PLACED, LINE_ADDED).all(Line, item="tea")) == 1
        """
        if model not in self._projection.models:
            names = ", ".join(one.__name__ for one in self._projection.models)
            raise TypeError(
                f"{getattr(model, '__name__', model)} is no read model of the projection "
                f"{self._projection.name!r}, which declares {names}."
            )
        for name in fields:
            model._meta.get_field(name)  # raises if there is no such field
        rows: list[Any] = list(self._rows.get(model, {}).values())
        return [row for row in rows if all(getattr(row, k) == v for k, v in fields.items())]

    def get(self, model: type[R], **fields: Any) -> R:
        """The one row of a model whose fields have these values; fail if there are none or more.

        assert project(orders, PLACED, PAID).get(Order).is_paid
        """
        __tracebackhide__ = True
        found = self.all(model, **fields)
        if len(found) != 1:
            there = "\n".join(f"    {_shown(row)}" for row in self.all(model)) or "    nothing"
            wanted = ", ".join(f"{name}={value!r}" for name, value in fields.items())
            raise AssertionError(
                f"{model.__name__}({wanted})\n  expected\n    one row\n  actual\n    {len(found)} "
                f"rows, of all that there are:\n{there}"
            )
        return found[0]


def recorded(
    event: object,
    *,
    stream_id: UUID | None = None,
    actor: str = ACTOR,
    recorded_at: datetime | None = None,
    event_id: UUID | None = None,
    command_id: UUID | None = None,
    correlation_id: UUID | None = None,
    causation_id: UUID | None = None,
) -> RecordedEvent:
    """An event with what its envelope says, for a projection that looks at that.

    `project` gives it its version. Ids that are left out are random, but for the `causation_id`.

        project(orders, recorded(PLACED, actor="ann", recorded_at=NOON)).get(Order).placed_at
    """
    require_events([event], "recorded()")
    naming = naming_of(type(event))
    field = naming.id_field
    envelope = Envelope(
        stream_id=stream_id or (getattr(event, field) if field else STREAM),
        stream_type=naming.stream,
        version=0,
        type=encode_event(event)[0],
        recorded_at=recorded_at or BEGINNING,
        actor=actor,
        traceparent="",
        event_id=event_id or uuid4(),
        command_id=command_id or uuid4(),
        correlation_id=correlation_id or uuid4(),
        causation_id=causation_id,
    )
    return RecordedEvent(envelope, event)


def project(projection: Projection, *events: object) -> ProjectedRows:
    """The rows that a projection makes of events of one or several streams.

    An event stands by itself, or in `recorded(...)`. Its stream is the id in the field that
    `@event(..., id_field=)` names. Raises what the projection's functions raise.

        assert project(orders, PLACED).get(Order, status="placed").item == "tea"
    """
    versions: Counter[UUID] = Counter()
    stored = []
    for number, given in enumerate(events):
        one = given if isinstance(given, RecordedEvent) else recorded(given)
        stream_id, at = one.envelope.stream_id, one.envelope.recorded_at
        versions[stream_id] += 1
        envelope = replace(
            one.envelope,
            version=versions[stream_id],
            recorded_at=BEGINNING + timedelta(seconds=number) if at == BEGINNING else at,
        )
        _require_possible(projection, envelope, one.event)
        stored.append(recorded_of(projection, envelope, encode_event(one.event)[1]))
    row_batch = RowBatch(projection, GENERATION)
    fold(row_batch, stored)
    return ProjectedRows(projection, row_batch)


def _require_possible(projection: Projection, envelope: Envelope, event: object) -> None:
    """Raise for an event that no store would hold, or that this projection would never be given."""
    if envelope.stream_type not in projection.stream_types:
        taken = ", ".join(map(repr, sorted(projection.stream_types)))
        raise TypeError(
            f"{type(event).__name__} is an event of the stream type {envelope.stream_type!r}: "
            f"the projection {projection.name!r} takes those of {taken}."
        )
    if fault := plausible.fault_of(envelope, event):
        raise ValueError(f"{type(event).__name__} is impossible: {fault}.")


def _shown(row: ReadModel) -> str:
    hidden = ("id", BY_THE_DATABASE)
    names = [field.attname for field in row._meta.concrete_fields if field.attname not in hidden]
    values = ", ".join(f"{name}={getattr(row, name)!r:.80}" for name in names)
    return f"{type(row).__name__}({values})"
