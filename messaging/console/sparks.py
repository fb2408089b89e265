"""The small line in each box of the path: the last hour."""

from typing import NamedTuple

from messaging.console.axis import SPANS, Axis, Scale, Value, nice, path
from messaging.console.dashboard import Found
from messaging.monitoring.levels import OUTBOX_AMBER_S
from messaging.monitoring.samples import Point


class Spark(NamedTuple):
    path: str
    words: str  # for who does not see it, and who points at it


def _lag(point: Point) -> float | None:
    """Of the projection that is furthest behind."""
    lags = (one.lag for one in point.figures.projections.values())
    return max((lag for lag in lags if lag is not None), default=None)


def _applied(point: Point) -> float | None:
    """Of the projection that is fastest."""
    return max(point.applied_per_s.values(), default=None)


# By the title of the box: what is drawn, in which unit, and the least that its height stands for:
# next to nothing has to look like it.
DRAWN: dict[str, tuple[Value, str, float]] = {
    "Commands": (lambda point: point.stored_per_s, "events stored a second", 10.0),
    "Event store": (lambda point: point.failed_per_min, "answers 5xx a minute", 1.0),
    "Outbox": (
        lambda point: point.figures.outbox_age_s,
        "s of waiting in the outbox",
        OUTBOX_AMBER_S,
    ),
    "Relay": (lambda point: point.published_per_s, "events published a second", 10.0),
    "Log": (_lag, "records of lag", 100.0),
    "Consumers": (_applied, "events applied a second", 10.0),
}


def spark(found: Found, title: str) -> Spark | None:
    """None where there are no samples, or no figures in them."""
    value, unit, least = DRAWN[title]
    figures = [figure for one in found.lately if (figure := value(one)) is not None]
    if not figures:
        return None
    until = max(found.at, found.lately[-1].until)
    axis = Axis(until - SPANS[0].length, until, SPANS[0])
    drawn = path(axis, Scale(nice(max(least, *figures))), found.lately, value)
    return Spark(drawn, f"In the last hour at most {max(figures):,.3g} {unit}")
