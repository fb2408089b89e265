"""How things stood over time: plots of the samples on one axis, with what happened meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from messaging import conf
from messaging.console.axis import (
    SPANS,
    Axis,
    Band,
    Scale,
    Span,
    Tick,
    Value,
    bands,
    gaps,
    nice,
    path,
)
from messaging.console.marks import Mark, marks
from messaging.console.troubles import Trouble, troubles
from messaging.monitoring import levels, samples
from messaging.monitoring.levels import AMBER, RED, WELL
from messaging.monitoring.samples import Point
from messaging.projections.registry import consumed

POINTS = 240
ROWS = 24  # of the table of values
STYLES = 12  # of lines, in admin.css; a thirteenth looks as the first
MAX_TROUBLES = 40  # the last
NEWEST = timedelta(seconds=30)


class Limit(NamedTuple):
    figure: float
    level: str
    y: int = 0

    @property
    def text(self) -> str:
        return _text(self.figure)


class Line(NamedTuple):
    name: str
    path: str
    style: int
    last: str
    most: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    title: str
    top: str
    lines: list[Line]
    limits: list[Limit]

    @property
    def in_words(self) -> str:
        """For who does not see the lines."""
        each = "; ".join(f"{one.name}: at most {one.most}, now {one.last}" for one in self.lines)
        return f"{self.title}. {each or 'No figures'}."


class Strip(NamedTuple):
    name: str
    bands: list[Band]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    span: Span
    spans: Sequence[Span]
    axis: Axis
    ticks: list[Tick]
    gaps: list[Band]
    marks: list[Mark]
    troubles: list[Trouble]
    within: str  # how exact their times are
    plots: list[Plot]
    strips: list[Strip]
    columns: list[str]  # of the table of values
    rows: list[tuple[str, list[str]]]  # a time, and the values of its columns
    is_empty: bool


def picture(span: Span) -> Picture:
    """Read the samples, and draw them."""
    until = samples.database_time()
    points = samples.series(span.length, POINTS, until)
    # At full resolution, so that short events are marked as well.
    long = span.length > samples.FINE_UP_TO
    each = samples.series(span.length, samples.MAX_POINTS, until) if long else points
    axis = Axis(until - span.length, until, span)
    specs = list(_specs())
    newest = next(reversed(samples.series(NEWEST, 4, until)), None)  # a sample alone
    return Picture(
        span=span,
        spans=SPANS,
        axis=axis,
        ticks=list(axis.ticks()),
        gaps=gaps(axis, points),
        marks=marks(axis, each),
        troubles=troubles(each, newest)[-MAX_TROUBLES:],
        within=_width(each),
        plots=plots_of(axis, points, newest),
        strips=strips_of(axis, points),
        columns=[f"{one.title}: {name}" for one in specs for name, _ in one.lines],
        rows=[
            (
                f"{group[0].since:%d %b %H:%M:%S}",
                [_text(_most(group, value)) for one in specs for _, value in one.lines],
            )
            for group in _grouped(points)
        ],
        is_empty=not points,
    )


def plots_of(axis: Axis, points: Sequence[Point], newest: Point | None) -> list[Plot]:
    """`newest`: a short one, which tells what is so now; the last of the points may stand for many
    minutes, and has the worst of them."""
    return [_plot(axis, points, newest, one) for one in _specs()]


class Spec(NamedTuple):
    title: str
    lines: list[tuple[str, Value]]
    unit: float | None = None  # of its scale
    limits: tuple[Limit, ...] = ()


def _specs() -> Iterator[Spec]:
    names = sorted(one.name for one in consumed())
    yield Spec(
        "Events a second",
        [("stored", lambda p: p.stored_per_s), ("published", lambda p: p.published_per_s),
         *((f"applied, {name}", _applied(name)) for name in names)],
    )  # fmt: skip
    yield Spec("Lag, in records", [(name, _lag(name)) for name in names], 1.0,
               (Limit(conf.postlog().max_lag, RED),))  # fmt: skip
    yield Spec("Age of the oldest event in the outbox, in seconds",
               [("age", lambda p: p.figures.outbox_age_s)], 1.0,
               (Limit(levels.OUTBOX_AMBER_S, AMBER), Limit(levels.OUTBOX_RED_S, RED)))  # fmt: skip
    yield Spec("From stored to visible, in seconds",
               [("half", _visible("p50_s")), ("95 %", _visible("p95_s"))], 0.01)  # fmt: skip
    yield Spec("Answers a minute", [("refusals (4xx)", lambda p: p.refused_per_min),
                                    ("errors (5xx)", lambda p: p.failed_per_min)])  # fmt: skip


def _applied(name: str) -> Value:
    return lambda point: point.applied_per_s.get(name)


def _lag(name: str) -> Value:
    def value(point: Point) -> float | None:
        found = point.figures.projections.get(name)
        return None if found is None else found.lag

    return value


def _visible(which: str) -> Value:
    """Of the projection that is slowest."""

    def value(point: Point) -> float | None:
        each = (getattr(one, which) for one in point.figures.projections.values())
        return max((one for one in each if one is not None), default=None)

    return value


def _plot(axis: Axis, points: Sequence[Point], newest: Point | None, spec: Spec) -> Plot:
    found = {name: [v for p in points if (v := value(p)) is not None] for name, value in spec.lines}
    most = max((max(figures) for figures in found.values() if figures), default=0.0)
    if spec.unit is not None:  # by factors of ten, so that a limit far above does not flatten it
        most = max(most, 10 * spec.unit, *(1.1 * one.figure for one in spec.limits))
    scale = Scale(nice(most), spec.unit)
    return Plot(
        title=spec.title,
        top=_text(scale.top),
        limits=[one._replace(y=scale.y(one.figure)) for one in spec.limits],
        lines=[
            Line(
                name=name,
                path=path(axis, scale, points, value),
                style=number % STYLES,
                last=_text(None if newest is None else value(newest)),
                most=_text(max(found[name], default=None)),
            )
            for number, (name, value) in enumerate(spec.lines)
        ],
    )


def strips_of(axis: Axis, points: Sequence[Point]) -> list[Strip]:
    def leader(point: Point) -> tuple[str, str]:
        return (
            (WELL, f"{name} leads") if (name := point.figures.leader) else (RED, "no relay leads")
        )

    def workers(role: str) -> Strip:
        def state(point: Point) -> tuple[str, str]:
            alive = point.figures.workers.get(role, 0)
            return (WELL, f"{alive} alive") if alive else (RED, f"no {role} is alive")

        return Strip(f"{role}s".capitalize(), bands(axis, points, state))

    def halted(point: Point) -> tuple[str, str]:
        each = {name: one.halted for name, one in point.figures.projections.items() if one.halted}
        return RED, "; ".join(f"{name}: {', '.join(map(str, at))}" for name, at in each.items())

    def errors(point: Point) -> tuple[str, str]:
        each = dict.fromkeys(one.partition(": ")[0] for one in point.figures.errors)
        return RED, "; ".join(each)

    return [
        Strip("Leader", bands(axis, points, leader)),
        workers("relay"),
        workers("consumer"),
        Strip("Halted partitions", bands(axis, points, halted)),
        Strip("Could not work", bands(axis, points, errors)),
    ]


def _width(points: Sequence[Point]) -> str:
    seconds = max(((one.until - one.since).total_seconds() for one in points), default=0)
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _grouped(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    size = max(1, -(-len(points) // ROWS))
    yield from (points[start : start + size] for start in range(0, len(points), size))


def _most(points: Sequence[Point], value: Value) -> float | None:
    return max((v for p in points if (v := value(p)) is not None), default=None)


def _text(figure: float | None) -> str:
    if figure is None:
        return "none"
    if figure >= 100 or figure == int(figure):
        return f"{figure:,.0f}"
    return f"{figure:.3g}"
