"""What happened: operators' actions, rebuilds, dead letters, starts and stops, as marks in time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError

from messaging.console.axis import Axis
from messaging.monitoring.figures import Figures
from messaging.monitoring.models import OperatorAction
from messaging.monitoring.samples import Point
from messaging.projections.models import Rebuild

MAX_ROWS = 200  # of a table, the newest
MAX_MARKS = 60


class Mark(NamedTuple):
    at: datetime
    x: int
    kind: str  # action, rebuild, letter, start, stop: the class of admin.css
    text: str


def marks(axis: Axis, points: Sequence[Point]) -> list[Mark]:
    """The newest last."""
    each = [*_actions(axis), *_rebuilds(axis), *begin(axis, points), *of_points(points)]
    found = sorted(one for one in each if axis.since <= one[0] <= axis.until)
    return [Mark(at, axis.x(at), kind, text) for at, kind, text in found[-MAX_MARKS:]]


Found = tuple[datetime, str, str]


def _actions(axis: Axis) -> Iterator[Found]:
    rows = OperatorAction.objects.filter(at__gte=axis.since).order_by("-id")[:MAX_ROWS]
    for one in rows:
        yield one.at, "action", f"{one.actor}: {one.action} {one.detail[:100]}".strip()


def _rebuilds(axis: Axis) -> Iterator[Found]:
    try:
        rows = list(Rebuild.objects.order_by("-id")[:MAX_ROWS])
    except (DatabaseError, InterfaceError):  # the read database is away: the samples show it
        return
    for one in rows:
        what = f"rebuild of {one.projection}, generation {one.generation}"
        yield one.asked_at, "rebuild", f"{what}, asked for by {one.asked_by}"
        if one.switched_at:
            yield one.switched_at, "rebuild", f"{what}: readers switched to it"
        if one.ended_at:
            yield one.ended_at, "rebuild", f"{what}: {one.state}"


def begin(axis: Axis, points: Sequence[Point]) -> Iterator[Found]:
    """What there was at the first sample, if none was kept just before."""
    for first in points[:1]:
        if first.since - axis.since > 2 * (first.until - first.since):
            yield first.since, "start", "samples begin"
            yield from of_points([first._replace(until=first.since, figures=Figures()), first])


def of_points(points: Sequence[Point]) -> Iterator[Found]:
    """What differs from one sample to the next."""
    letters: dict[str, int] = {}  # as last known: while the read database is away, nothing is
    for before, now in pairwise(points):
        was, is_ = before.figures, now.figures
        letters |= {name: one.dead_letters for name, one in was.projections.items()}
        yield from _letters(now, letters)
        for role in sorted(was.workers.keys() | is_.workers.keys()):
            alive, then = is_.workers.get(role, 0), was.workers.get(role, 0)
            if alive != then:
                kind = "start" if alive > then else "stop"
                yield now.since, kind, f"{then} \N{RIGHTWARDS ARROW} {alive} alive as {role}"
        if was.leader != is_.leader:
            yield now.since, "start" if is_.leader else "stop", (
                f"{is_.leader} leads" if is_.leader else f"{was.leader} leads no longer"
            )  # fmt: skip
        if now.since > before.until:
            yield before.until, "stop", "no samples any more: nobody alive"
            yield now.since, "start", "samples again"


def _letters(now: Point, before: dict[str, int]) -> Iterator[Found]:
    """One line for all projections: one event is often a dead letter of each."""
    changes: dict[int, list[str]] = {}
    for name, one in now.figures.projections.items():
        if more := one.dead_letters - before.get(name, 0):
            changes.setdefault(more, []).append(name)
    each = [
        f"{abs(more):,} {'more' if more > 0 else 'fewer'} of {', '.join(names)}"
        for more, names in changes.items()
    ]
    if each:
        yield now.since, "letter", f"dead letters: {'; '.join(each)}"
