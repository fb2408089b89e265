"""The small line in each box of the path: the last hour."""

from typing import NamedTuple

from messaging.console.axis import SPANS, Axis, Scale, Value, nice, path
from messaging.console.dashboard import Found
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


# By the box's title: what is drawn, and in which unit.
DRAWN: dict[str, tuple[Value, str]] = {
    "Commands": (lambda point: point.stored_per_s, "events stored a second"),
    "Event store": (lambda point: point.failed_per_min, "answers 5xx a minute"),
    "Outbox": (lambda point: point.figures.outbox_age_s, "s of waiting in the outbox"),
    "Relay": (lambda point: point.published_per_s, "events published a second"),
    "Log": (_lag, "records of lag"),
    "Consumers": (_applied, "events applied a second"),
}


def spark(found: Found, title: str) -> Spark | None:
    """None where there are no samples, or no figures in them."""
    value, unit = DRAWN[title]
    figures = [figure for one in found.lately if (figure := value(one)) is not None]
    if not figures:
        return None
    until = max(found.at, found.lately[-1].until)
    axis = Axis(until - SPANS[0].length, until, SPANS[0])
    drawn = path(axis, Scale(nice(max(figures))), found.lately, value)
    return Spark(drawn, f"In the last hour at most {max(figures):,.3g} {unit}")
