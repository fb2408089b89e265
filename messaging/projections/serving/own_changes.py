"""What a person has changed lately: their pages, in every tab, wait until they show it. A page that
cannot says so and catches up by itself.

One row a stream, raised by an upsert. A list in the session would be read, changed and saved as a
whole: of two tabs that save at once, one is forgotten (docs/decisions/0023).
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connections, router
from django.db.models import BooleanField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Now
from django.http import HttpRequest

from messaging.dialect.values import db_uuid, sql_now
from messaging.exceptions import ReadSideBehind
from messaging.message import Position
from messaging.projections.consuming.dead_letters import WAITS_FOR_ANOTHER, WAITS_FOR_CODE
from messaging.projections.consuming.gaps import HEALS_WITHIN
from messaging.projections.models import DeadLetter, ProjectionState
from messaging.projections.registry import Projection
from messaging.projections.serving.live import live
from messaging.projections.serving.models import OwnChange
from messaging.projections.serving.waiting import wait_for
from messaging.workers.heartbeats import missing_workers

KEPT = timedelta(days=1)  # a read side that is down for longer is reported elsewhere
FRESH = timedelta(seconds=10)  # older changes are not worth waiting for
MAX_CHANGES = 100  # the newest of a person, which a page considers
SWEEP_EVERY = 50  # changes, on average


class Change(NamedTuple):
    position: Position
    fresh: bool  # worth waiting for


def store(owner: str, *changed: Position) -> None:
    """Never lowers a version: answers to simultaneous requests come in any order."""
    connection = connections[router.db_for_write(OwnChange)]
    # The newest of each stream, since one INSERT takes a row once; in one order, so that no two
    # tabs wait for each other.
    newest = {one.stream_id: one for one in sorted(changed, key=lambda one: one.version)}
    rows = [
        [owner, one.stream_type, db_uuid(connection, one.stream_id), one.version]
        for _, one in sorted(newest.items())
    ]
    marks = ", ".join([f"(%s, %s, %s, %s, {sql_now(connection)})"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_ownchange AS known (owner, stream_type, stream_id, version, at)"
            f" VALUES {marks}"
            " ON CONFLICT (owner, stream_id) DO UPDATE"
            " SET version = excluded.version, at = excluded.at"
            " WHERE excluded.version >= known.version",
            [value for row in rows for value in row],
        )
    if random.randrange(SWEEP_EVERY) == 0:
        sweep()


def lately(owner: str) -> list[Change]:
    """The newest version of each stream that its pages have to show."""
    fresh = ExpressionWrapper(Q(at__gt=Now() - FRESH), BooleanField())
    rows = OwnChange.objects.filter(owner=owner, at__gt=Now() - KEPT).order_by(F("at").desc())
    found = rows.values_list("stream_type", "stream_id", "version", fresh)[:MAX_CHANGES]
    return [Change(Position(*position), new) for *position, new in found]


def sweep() -> None:
    """Delete what no page asks for any more."""
    OwnChange.objects.filter(at__lt=Now() - KEPT).delete()


class Behind(NamedTuple):
    """The page does not show yet what its person has changed."""

    start: list[str]  # the commands of workers that are missing
    streams: frozenset[UUID]  # that it does not show as they are
    parked: frozenset[UUID] = frozenset()  # those of them that need an operator

    def of(self, stream_id: UUID) -> "Behind | None":
        """Return the same for a page that shows this stream alone; None if that is not behind."""
        if stream_id not in self.streams:
            return None
        return Behind(self.start, frozenset({stream_id}), self.parked & {stream_id})


def remember(request: HttpRequest, *changed: Position) -> None:
    """Let this person's pages wait until they show these versions, each where the page's
    projections take in streams of its type: `remember(request, *result.positions)`."""
    if not request.user.is_authenticated and not request.session.session_key:
        request.session.create()
    if changed:
        store(_owner(request), *changed)


def behind(request: HttpRequest, *projections: Projection) -> Behind | None:
    """Wait until the projections show what this person has changed; None if they do."""
    owner = _owner(request)
    changes = dict(lately(owner)) if owner else {}
    request.own_changes = list(changes)  # type: ignore[attr-defined]  # an ETag may need them
    start: list[str] | None = None
    late: list[tuple[Projection, Position]] = []
    patient = True  # until one has been waited for in vain: the page waits for that long once
    for projection, position in _not_shown(projections, list(changes)):
        if start is None:
            start = missing_workers()
        if patient and changes[position] and not start:
            if _comes(projection, position):
                continue
            patient = False
        late.append((projection, position))
    streams = frozenset(position.stream_id for _, position in late)
    return Behind(start or [], streams, _parked(late)) if late else None


def _parked(late: Sequence[tuple[Projection, Position]]) -> frozenset[UUID]:
    """The streams that wait for a dead letter which neither an earlier event, soon, nor a worker
    with newer code will apply."""
    heads = DeadLetter.objects.exclude(code__in=("behind", WAITS_FOR_CODE))
    heads = heads.exclude(code__in=WAITS_FOR_ANOTHER, parked_at__gt=Now() - HEALS_WITHIN)
    found: set[UUID] = set()
    for name in {one.name for one, _ in late}:
        versions = {at.stream_id: at.version for one, at in late if one.name == name}
        live = ProjectionState.objects.filter(name=name).values("live_generation")
        of_it = heads.filter(projection=name, generation__in=live, stream_id__in=versions)
        found |= {
            stream_id
            for stream_id, version in of_it.values_list("stream_id", "version")
            if stream_id and version and version <= versions[stream_id]
        }
    return frozenset(found)


def _not_shown(
    projections: Sequence[Projection], positions: Sequence[Position]
) -> list[tuple[Projection, Position]]:
    """As `not_reached` of each projection, in one statement for all."""
    wanted = [
        (projection, position)
        for projection in projections
        for position in positions
        if position.stream_type in projection.stream_types
    ]
    if not wanted:
        return []
    streams = {position.stream_id for _, position in wanted}
    rows = [
        live(one, one.root)
        .filter(stream_id__in=streams)
        .values_list(Value(one.name), "stream_id", "version")
        for one in projections
    ]
    reached = {tuple(of): version for *of, version in rows[0].union(*rows[1:], all=True)}
    return [
        (one, position)
        for one, position in wanted
        if reached.get((one.name, position.stream_id), 0) < position.version
    ]


def _comes(projection: Projection, position: Position) -> bool:
    try:
        wait_for(projection, [position])
    except ReadSideBehind:
        return False
    return True


def _owner(request: HttpRequest) -> str:
    """Whose changes: the person's, in all their browsers and over a sign-out; of nobody known,
    the session's; "" without one."""
    if request.user.is_authenticated:
        return f"person:{request.user.pk}"
    key = request.session.session_key
    return f"session:{key}" if key else ""
