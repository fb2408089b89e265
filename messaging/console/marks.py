"""What happened: operators' actions, rebuilds, dead letters, starts and stops, as marks in time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError

from messaging.console.axis import Axis
from messaging.console.troubles import LEAST_GAP
from messaging.monitoring import samples
from messaging.monitoring.models import OperatorAction
from messaging.monitoring.samples import Point
from messaging.projections.models import Rebuild

MAX_ROWS = 200  # of a table, the newest
MAX_MARKS = 60
ROLES = ("relay", "consumer")  # the owner of a projection is one of the consumers


Found = tuple[datetime, str, str]  # when, which kind of mark, its text


class Mark(NamedTuple):
    at: datetime
    x: int
    kind: str  # action, rebuild, letter, start, stop: the class of admin.css
    text: str


def marks(axis: Axis, points: Sequence[Point]) -> list[Mark]:
    """The newest last."""
    by_hand = [*_actions(axis), *_rebuilds(axis)]
    seen = [*begin(axis, points), *of_points(points)]
    # So many of each, so that workers that come and go do not push out what operators did.
    found = [*_newest(axis, by_hand), *_newest(axis, seen)]
    return [Mark(at, axis.x(at), *rest) for at, *rest in sorted(found, key=itemgetter(0))]


def _newest(axis: Axis, found: Sequence[Found]) -> list[Found]:
    within = [one for one in found if axis.since <= one[0] <= axis.until]
    return sorted(within, key=itemgetter(0))[-MAX_MARKS:]


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
    """What the first sample shows, if the span begins without one."""
    for first in points[:1]:
        if first.since - axis.since <= 2 * (first.until - first.since):
            return
        at, now = first.since, first.figures
        yield at, "start", "samples again" if samples.any_before(axis.since) else "samples begin"
        for role in ROLES:
            if alive := now.workers.get(role):
                yield at, "start", f"{alive} alive as {role}"
        if now.leader:
            yield at, "start", f"{now.leader} leads"
        letters = {name: one.dead_letters for name, one in now.projections.items()}
        if any(letters.values()):
            each = (f"{count:,} of {name}" for name, count in letters.items() if count)
            yield at, "letter", f"dead letters: {', '.join(each)}"


def of_points(points: Sequence[Point]) -> Iterator[Found]:
    """What differs from one sample to the next."""
    letters: dict[str, int] = {}  # as last known: while the read database is away, nothing is
    for before, now in pairwise(points):
        was, is_ = before.figures, now.figures
        letters |= {name: one.dead_letters for name, one in was.projections.items()}
        yield from _letters(now, letters)
        for role in ROLES:
            alive, then = is_.workers.get(role, 0), was.workers.get(role, 0)
            if alive != then:
                kind = "start" if alive > then else "stop"
                yield now.since, kind, f"{then} \N{RIGHTWARDS ARROW} {alive} alive as {role}"
        if was.leader != is_.leader:
            yield now.since, "start" if is_.leader else "stop", (
                f"{is_.leader} leads" if is_.leader else f"{was.leader} leads no longer"
            )  # fmt: skip
        if now.since - before.until > LEAST_GAP:
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
