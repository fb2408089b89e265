"""When trouble was over, by the samples of the last hour."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from messaging.monitoring import levels
from messaging.monitoring.samples import Point
from messaging.monitoring.status import needs_workers
from messaging.projections.consuming.stalls import STALLED_AFTER_S

LEAST_GAP = timedelta(seconds=30)


class Over(NamedTuple):
    at: datetime
    what: str  # as of the last sample that shows it


def last_trouble(points: Sequence[Point]) -> Over | None:
    """None: there was none in this time."""
    found = None
    before: Point | None = None
    for point in points:
        if before and point.since - before.until > LEAST_GAP:
            found = Over(point.since, "no worker was alive, or the write database was away")
        if what := "; ".join(_trouble(point)):
            found = Over(point.until, what)
        before = point
    return found


def _trouble(point: Point) -> Iterator[str]:
    figures = point.figures
    if needs_workers():
        if not figures.workers.get("consumer"):
            yield "no consumer was alive"
        if not figures.leader:
            yield "no relay led"
    if figures.outbox_age_s > levels.OUTBOX_RED_S:
        yield f"events waited {figures.outbox_age_s:.0f} s in the outbox"
    for name, one in figures.projections.items():
        if one.halted:
            yield f"partitions of {name} were halted"
    behind = {n: one.lag_s for n, one in figures.projections.items() if one.lag_s > STALLED_AFTER_S}
    if behind:
        yield f"readers of {', '.join(behind)} were {max(behind.values()):.0f} s behind"
