"""Inline projections: rows that a command writes in its own transaction, where READ is WRITE.

It brings each stream level with the store, rather than only adding its own events: so an event that
was stored by a process with older code, which knew no such projection, is not left out for ever.
docs/decisions/0031-inline-projections.md
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, transaction

from messaging.codec import RecordedEvent
from messaging.conf import read_alias, write_alias
from messaging.eventstore.models import Stream
from messaging.eventstore.scan import events_after
from messaging.exceptions import PostlogError
from messaging.message import Position
from messaging.projections import writers
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.decoding import recorded_of
from messaging.projections.fold import fold
from messaging.projections.models import ProjectionState
from messaging.projections.registry import PROJECTIONS, Projection
from messaging.projections.rows import RowBatch
from messaging.transient import described, is_away, is_unmigrated

STREAMS_AT_ONCE = 500

ONE_DATABASE = (
    "The projection {name!r} is inline: commands write its rows in their own transaction, so both "
    "sides have to be in one database."
)
HOW = (
    'Set POSTLOG["READ_DATABASE"] to the alias of POSTLOG["WRITE_DATABASE"], or take inline=True '
    "away: then consumers fill it."
)


class InlineFailed(PostlogError):
    """An inline projection could not apply an event. It is a fault of its code, and no refusal of
    the command, whose events are not stored."""


def apply(grown: Sequence[Position]) -> None:
    """Apply what the open transaction has appended to these streams, which are given as they were
    before, by their inline projections.

    They come in the order of their names, so that no two commands wait for each other. Raises
    `InlineFailed` if a function does, or if the database refuses what it wrote. Rows that consumers
    have filled, or that lack what was stored before the projection was there, are left alone until
    a rebuild has recreated them: `manage.py check` says so.
    """
    types = {one.stream_type for one in grown}
    found = [one for one in PROJECTIONS.values() if one.inline and one.stream_types & types]
    for projection in sorted(found, key=lambda one: one.name):
        if read_alias() != write_alias():
            raise ImproperlyConfigured(f"{ONE_DATABASE.format(name=projection.name)} {HOW}")
        mine = [one for one in grown if one.stream_type in projection.stream_types]
        before = {one.stream_id: one.version for one in mine}
        state = _state_of(projection, before)
        if state.inline:
            streams = list(before.items())
            for start in range(0, len(streams), STREAMS_AT_ONCE):
                some = dict(streams[start : start + STREAMS_AT_ONCE])
                level(projection, state.live_generation, some)


def decide() -> None:
    """Decide for each inline projection whether commands write its rows, before a long transaction
    does so with its first events and keeps all commands waiting until its end."""
    if read_alias() == write_alias():
        for projection in (one for one in PROJECTIONS.values() if one.inline):
            with transaction.atomic(using=write_alias(), durable=True):
                _state_of(projection, {})


def is_built(projection: Projection, state: ProjectionState | None) -> bool:
    """Tell whether commands write the rows of an inline projection, or would from the first on."""
    if state is None or state.inline is None:
        return not Stream.objects.filter(stream_type__in=projection.stream_types).exists()
    return state.inline


def unbuilt() -> list[str]:
    """The names of the inline projections whose rows a rebuild has to make first."""
    states = ProjectionState.objects.in_bulk()
    found = [one for one in PROJECTIONS.values() if one.inline]
    return [one.name for one in found if not is_built(one, states.get(one.name))]


def level(
    projection: Projection,
    generation: int,
    before: Mapping[UUID, int],
    discarded: frozenset[UUID] = frozenset(),
) -> None:
    """Apply the stored events that the rows of these streams lack, in the open transaction.

    `before`: for each stream the version that its rows should be at. `discarded`: those of the
    events after that. Raises `InlineFailed`.
    """
    try:
        _level(projection, generation, before, discarded)
    except Exception as error:
        lost = isinstance(error, OperationalError) or is_away(error)
        if lost and not is_unmigrated(error):
            raise  # the database is away, or this has lost a race
        streams = ", ".join(f"{one} after version {version}" for one, version in before.items())
        raise InlineFailed(
            f"The inline projection {projection.name!r} cannot apply what was appended to stream "
            f"{streams:.500}, so nothing is stored: {described(error)}"
        ) from error


def _level(
    projection: Projection,
    generation: int,
    before: Mapping[UUID, int],
    discarded: frozenset[UUID],
) -> None:
    row_batch = RowBatch(projection, generation)
    events = _read(projection, before)
    row_batch.load(events)
    shown = {one: root.version if (root := row_batch.root(one)) else 0 for one in before}
    if any(shown[one] < version for one, version in before.items()):
        events = _read(projection, shown)
        row_batch.load(events)
    fold(row_batch, events, discarded)
    row_batch.write()


def _read(projection: Projection, after: Mapping[UUID, int]) -> list[RecordedEvent]:
    """Read the events as a rebuild and `verify` do: the store has the last word on their times."""
    stored = events_after(after)
    return [recorded_of(projection, one.envelope, one.data) for one in stored]


def _state_of(projection: Projection, before: Mapping[UUID, int]) -> ProjectionState:
    """Get the state, locked. The first command decides: its rows are all there are to be, if the
    store had nothing of these types before."""
    writers.hold(projection.name, alone=False)
    state = checkpoints.state_of(projection.name)
    if state.inline is None:
        begun = sum(version == 0 for version in before.values())
        streams = Stream.objects.filter(stream_type__in=projection.stream_types)
        is_whole = streams[: begun + 1].count() == begun
        ProjectionState.objects.filter(name=state.name, inline=None).update(inline=is_whole)
        state.refresh_from_db()
    return state
