"""From a command to the rows that it changed: for the console, and for `manage.py trace`."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib.auth import get_permission_codename
from django.db.models import Model, QuerySet

from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.monitoring import timeline
from messaging.monitoring.timeline import Mark, Moment
from messaging.projections.models import DeadLetter, Discarded, ProjectionState, Rebuild
from messaging.projections.read_models import BY_THE_DATABASE, ReadModel
from messaging.projections.registry import PROJECTIONS, Projection
from messaging.projections.serving.live import live, live_root

NEAR = 20_000  # positions before and after: events of one correlation lie close together
MAX_ROWS = 20  # of a model
HIDDEN = ("id", "generation", "stream_id", BY_THE_DATABASE)


def rights() -> list[str]:
    """The permissions to view all that a trace shows."""
    read_models = [model for one in PROJECTIONS.values() for model in _of_streams(one)]
    shown: list[type[Model]] = [Event, Stream, Outbox, Receipt, DeadLetter, *read_models]
    return [f"{m._meta.app_label}.{get_permission_codename('view', m._meta)}" for m in shown]


class Table(NamedTuple):
    """The rows of one read model that belong to a stream."""

    model: str
    columns: list[str]
    rows: list[list[Any]]


class Step(NamedTuple):
    """What one projection made of one event's stream."""

    projection: str
    state: str
    tables: list[Table]


class Trace(NamedTuple):
    event: Event  # where it began
    marks: list[Mark]  # when it passed each step
    receipt: Receipt | None
    events: list[tuple[Event, bool]]  # of the same correlation, and whether each still waits
    streams: list[tuple[Event, list[Step]]]  # the last event of each stream


def trace_of(event: Event) -> Trace:
    """The command, its events, and what the projections made of them."""
    near = Event.objects.filter(
        position__gt=event.position - NEAR, position__lt=event.position + NEAR
    )
    events = list(near.filter(correlation_id=event.correlation_id).order_by("position"))
    waiting = set(
        Outbox.objects.filter(position__in=[one.position for one in events]).values_list(
            "position", flat=True
        )
    )
    receipt = Receipt.objects.filter(actor=event.actor, command_id=event.command_id).first()
    return Trace(
        event=event,
        marks=timeline.marks(_moments(event, event.position in waiting)),
        receipt=receipt,
        events=[(one, one.position in waiting) for one in events],
        streams=[(one, list(_steps(one))) for one in _last_of_each_stream(events)],
    )


def _moments(event: Event, waiting: bool) -> Iterator[Moment]:
    yield from timeline.received(event)
    yield timeline.stored(event)
    yield timeline.published(event, waiting)
    applied = [_applied(projection, event) for projection in _projections_of(event)]
    yield from sorted(applied, key=lambda one: (one.at is None, one.at or event.recorded_at))


def _applied(projection: Projection, event: Event) -> Moment:
    """The root row says when its last event was applied, by the read database's clock."""
    step, root = f"applied to {projection.name}", live_root(projection, event.stream_id)
    if root is None or root.version < event.version:
        parked = _parked(projection, event).filter(version=event.version).first()
        if parked is not None:
            return Moment(f"parked in {projection.name}", parked.parked_at, parked.code)
        return Moment(step, None, _state(projection, event))
    if projection.inline:
        return Moment(step, event.recorded_at, "by the command itself")
    at, notes = root.event_applied_at, []
    if root.version > event.version:
        notes.append(f"at the latest: its rows are at version {root.version} by now")
    rebuilt = Rebuild.objects.filter(projection=projection.name, generation=root.generation)
    if at is not None and rebuilt.filter(switched_at__gte=at).exists():
        notes.append(f"by the rebuild of generation {root.generation}")
    if Discarded.objects.filter(projection=projection.name, event_id=event.event_id).exists():
        step = f"passed over in {projection.name}"
        notes.insert(0, "an operator discarded the event")
    return Moment(step, at, "; ".join(notes), at_most=bool(notes))


def _projections_of(event: Event) -> list[Projection]:
    return [one for one in PROJECTIONS.values() if event.stream_type in one.stream_types]


def _last_of_each_stream(events: list[Event]) -> list[Event]:
    return list({one.stream_id: one for one in events}.values())


def _steps(event: Event) -> Iterator[Step]:
    for projection in _projections_of(event):
        tables = [_table(projection, model, event) for model in _of_streams(projection)]
        yield Step(projection.name, _state(projection, event), tables)


def _of_streams(projection: Projection) -> list[type[ReadModel]]:
    """The read models whose rows belong to a stream. Totals do not: their progress is shown."""
    return [] if projection.single_owner else projection.models


def _state(projection: Projection, event: Event) -> str:
    root: Any = live_root(projection, event.stream_id)
    if root is not None and root.version >= event.version:
        return f"applied; the stream is at version {root.version}"
    first = _parked(projection, event).first()
    if first is not None and first.version == event.version:
        return f"parked ({first.code})"
    if first is not None:
        return f"parked: waits for version {first.version} ({first.code})"
    return f"on its way; the stream is at version {0 if root is None else root.version}"


def _parked(projection: Projection, event: Event) -> QuerySet[DeadLetter]:
    """The dead letters of its stream up to the event, of what readers see."""
    live = ProjectionState.objects.filter(name=projection.name).values("live_generation")
    return DeadLetter.objects.filter(
        projection=projection.name,
        generation__in=live,
        stream_id=event.stream_id,
        version__lte=event.version,
    ).order_by("version")


def _table(projection: Projection, model: Any, event: Event) -> Table:
    fields = [field for field in model._meta.concrete_fields if field.name not in HIDDEN]
    rows: list[Model] = list(
        live(projection, model).filter(stream_id=event.stream_id).order_by("-id")[:MAX_ROWS]
    )
    values = [[getattr(row, field.attname) for field in fields] for row in rows]
    return Table(model._meta.verbose_name, [field.name for field in fields], values)
