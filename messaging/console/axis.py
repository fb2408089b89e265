"""The one time axis that all plots share, and how figures become the paths of an SVG.

Coordinates are whole numbers of a picture of WIDTH by HEIGHT, which the page stretches to its own
width. Only presentation attributes are used: the policy of content allows no inline styles.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from messaging.monitoring.samples import Point

WIDTH, HEIGHT = 1_000, 100
EDGES = (30, 970)  # labels of ticks beyond would be cut off

Value = Callable[[Point], float | None]


class Span(NamedTuple):
    name: str  # in the address
    length: timedelta
    tick: timedelta
    label: str  # of a tick, for strftime


SPANS = (
    Span("1h", timedelta(hours=1), timedelta(minutes=10), "%H:%M"),
    Span("6h", timedelta(hours=6), timedelta(hours=1), "%H:%M"),
    Span("24h", timedelta(hours=24), timedelta(hours=4), "%H:%M"),
    Span("7d", timedelta(days=7), timedelta(days=1), "%-d %b"),
)


def span_of(name: str | None) -> Span:
    """The hour, if there is no such span."""
    return next((one for one in SPANS if one.name == name), SPANS[0])


class Tick(NamedTuple):
    x: int
    percent: str
    label: str  # empty at the edges


class Band(NamedTuple):
    """A part of the time."""

    x: int
    width: int
    level: str
    title: str


class Axis(NamedTuple):
    since: datetime
    until: datetime
    span: Span

    def x(self, moment: datetime) -> int:
        """Within the picture, whatever a clock said."""
        share = (moment - self.since) / (self.until - self.since)
        return round(WIDTH * min(1.0, max(0.0, share)))

    def band(self, since: datetime, until: datetime, level: str, title: str) -> Band:
        x = self.x(since)
        return Band(x, max(1, self.x(until) - x), level, title)

    def ticks(self) -> Iterator[Tick]:
        step = self.span.tick.total_seconds()
        at = math.ceil(self.since.timestamp() / step) * step
        while at <= self.until.timestamp():
            moment = datetime.fromtimestamp(at, UTC)
            x = self.x(moment)
            inside = EDGES[0] <= x <= EDGES[1]
            yield Tick(x, f"{x / 10:.1f}%", moment.strftime(self.span.label) if inside else "")
            at += step


class Scale(NamedTuple):
    """From 0 to `top`. `unit`: where it counts by factors of ten above so much; None: evenly."""

    top: float
    unit: float | None = None

    def y(self, figure: float) -> int:
        share = figure / self.top
        if self.unit is not None:
            share = math.log1p(figure / self.unit) / math.log1p(self.top / self.unit)
        return round(HEIGHT * (1 - min(1.0, max(0.0, share))))


def nice(most: float) -> float:
    """The next of 1, 2, 5, 10, 20, ..., so that the scale does not jump at each sample."""
    if most <= 0:
        return 1.0
    power: float = 10 ** math.floor(math.log10(most))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most * 0.999)


def path(axis: Axis, scale: Scale, points: Sequence[Point], value: Value) -> str:
    """Broken where there is no figure, or no sample."""
    parts: list[str] = []
    before: Point | None = None
    for point in points:
        figure = value(point)
        if figure is None:
            before = None
            continue
        x, y = axis.x(point.until), scale.y(figure)
        if before is None or point.since > before.until:
            parts.append(f"M{axis.x(point.since)} {y}")
        parts.append(f"L{x} {y}")
        before = point
    return "".join(parts)


def gaps(axis: Axis, points: Sequence[Point]) -> list[Band]:
    """Times without a sample."""
    found, end = [], axis.since
    for point in points:
        width = point.until - point.since
        if point.since - end > width / 2:
            found.append((end, point.since))
        if point.missing_s > width.total_seconds() / 2:
            found.append((point.since, point.until))
        end = point.until
    least = (axis.until - axis.since) / WIDTH * 2
    if axis.until - end > max(least, timedelta(seconds=30)):
        found.append((end, axis.until))
    title = "No samples: no worker was alive, or the write database was away"
    return [axis.band(*one, "gap", title) for one in found]


def bands(
    axis: Axis, points: Iterable[Point], state: Callable[[Point], tuple[str, str]]
) -> list[Band]:
    """Where the same state lasts: its level and its title; an empty title leaves the time blank."""
    found: list[tuple[datetime, datetime, str, str]] = []
    for point in points:
        level, title = state(point)
        if not title:
            continue
        if found and found[-1][2:] == (level, title) and found[-1][1] >= point.since:
            found[-1] = (found[-1][0], point.until, level, title)
        else:
            found.append((point.since, point.until, level, title))
    return [axis.band(*one) for one in found]
