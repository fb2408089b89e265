"""What was wrong in a time: from when to when, and how bad at worst, by the samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from messaging.monitoring import levels
from messaging.monitoring.samples import Point
from messaging.monitoring.status import needs_workers
from messaging.projections.consuming.stalls import STALLED_AFTER_S
from messaging.projections.registry import PROJECTIONS

LEAST_GAP = timedelta(seconds=30)
FAILED = "failed"
GAP = "no worker was alive, or the write database was away"


@dataclass(slots=True)
class Trouble:
    since: datetime
    until: datetime
    what: str  # at its worst
    kind: str = ""
    is_over: bool = True
    names: set[str] = field(default_factory=set)  # of all the projections whose readers it met


class Over(NamedTuple):
    since: datetime
    at: datetime
    what: str


class _Wrong(NamedTuple):
    kind: str
    figure: float  # how bad
    what: str
    names: frozenset[str] = frozenset()


def troubles(points: Sequence[Point], newest: Point | None = None) -> list[Trouble]:
    """Each from its first point to its last one; the first to begin first. `newest`: a short one,
    which tells what of the last point is over, where that stands for many minutes."""
    found: list[Trouble] = []
    lasting: dict[str, tuple[Trouble, float]] = {}
    before: Point | None = None
    for point in points:
        if before and point.since - before.until > LEAST_GAP:
            found.append(Trouble(before.until, point.since, GAP))
        wrong = {one.kind: one for one in _wrong(point)}
        lasting = {kind: one for kind, one in lasting.items() if kind in wrong}
        for kind, one in wrong.items():
            if kind not in lasting:
                found.append(Trouble(point.since, point.until, one.what, kind))
                lasting[kind] = found[-1], one.figure
            trouble, worst = lasting[kind]
            trouble.until = point.until
            trouble.names |= one.names
            if one.figure > worst:
                trouble.what = one.what
                lasting[kind] = trouble, one.figure
        before = point
    still = lasting.keys() if newest is None else {one.kind for one in _wrong(newest)}
    for kind, (trouble, _) in lasting.items():
        trouble.is_over = kind not in still
    for each in found:
        if each.names:
            each.what = f"{_readers(each.names)} {each.what}"
    return sorted(found, key=lambda one: one.since)


def last_trouble(points: Sequence[Point]) -> Over | None:
    """All that ended last, where nothing is wrong any more. None: nothing was, in this time."""
    found = troubles(points)
    if not found:
        return None
    at = max(one.until for one in found)
    last = [one for one in found if one.until == at]
    return Over(min(one.since for one in last), at, "; ".join(one.what for one in last))


def _wrong(point: Point) -> Iterator[_Wrong]:
    figures = point.figures
    if needs_workers():
        if not figures.workers.get("consumer"):
            yield _Wrong("consumer", 0, "no consumer was alive")
        if not figures.leader:
            yield _Wrong("relay", 0, "no relay led")
    for error in figures.errors:
        yield _Wrong(error.partition(": ")[0], 0, error)
    if (age_s := figures.outbox_age_s) > levels.OUTBOX_AMBER_S:
        yield _Wrong("outbox", age_s, f"events waited {age_s:.0f} s in the outbox")
    if (failed := point.failed_per_min or 0) > levels.FAILED_AMBER:
        yield _Wrong(FAILED, failed, f"{failed:,.0f} requests a minute failed (5xx)")
    yield from _read_side(point)


def _read_side(point: Point) -> Iterator[_Wrong]:
    projections = point.figures.projections
    for name, one in projections.items():
        if one.halted:
            halted = f"partitions of {name} were halted"
            yield _Wrong(f"halted {name}", len(one.halted), halted)
    behind = {n: one.lag_s for n, one in projections.items() if one.lag_s > STALLED_AFTER_S}
    if behind:
        worst = max(behind.values())
        yield _Wrong("behind", worst, f"were {worst:.0f} s behind", frozenset(behind))
    parked = {n: one.dead_letters for n, one in projections.items() if one.dead_letters}
    if parked:
        each = ", ".join(f"{count:,} of {name}" for name, count in parked.items())
        yield _Wrong("letters", sum(parked.values()), f"dead letters: {each}")


def _readers(names: set[str]) -> str:
    return "readers" if names >= PROJECTIONS.keys() else f"readers of {', '.join(sorted(names))}"
