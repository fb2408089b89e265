"""The repository: loads a stream as the state that its events add up to, and saves new events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from messaging import codec
from messaging.eventstore import statements
from messaging.eventstore.statements import Row
from messaging.eventstore.unit import UnitOfWork
from messaging.exceptions import LostRace
from messaging.message import Result

S = TypeVar("S")
E = TypeVar("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[S]):
    """A stream as it stands, locked until the end of the transaction."""

    stream_id: UUID
    version: int  # 0: it has no events
    state: S | None  # None: it has no events


class Repository(Generic[S, E]):
    """All streams of one type.

    `evolve(state, event)` returns the state after the event; it owns the state that it
    is given and may change it in place.
    """

    def __init__(self, stream_type: str, evolve: Callable[[S | None, E], S]) -> None:
        self._stream_type = stream_type
        self._evolve = evolve

    def load(self, unit: UnitOfWork, stream_id: UUID) -> Loaded[S]:
        """Lock a stream and load it. One that does not exist has version 0 and no state."""
        rows = statements.load(stream_id, "")
        if not _is_complete(rows):
            # We waited for the lock, so the statement's snapshot is older than the row that
            # it locked. Now that we hold it, a second look sees everything.
            rows = statements.load(stream_id, "")
            if not _is_complete(rows):
                raise LostRace
        return self._fold(stream_id, rows)

    def new(self, stream_id: UUID) -> Loaded[S]:
        """A stream whose id was made just now: nothing to load. Saving fails if it exists."""
        return Loaded(stream_id=stream_id, version=0, state=None)

    def save(
        self,
        unit: UnitOfWork,
        loaded: Loaded[S],
        events: Sequence[E],
        *,
        ids: dict[str, UUID],
        created: bool = False,
    ) -> Result:
        """Append the events, which may be none, to the stream as it was loaded."""
        version = unit.append(self._stream_type, loaded.stream_id, loaded.version, events)
        return Result(stream_id=loaded.stream_id, version=version, ids=ids, created=created)

    def _fold(self, stream_id: UUID, rows: list[Row]) -> Loaded[S]:
        state: S | None = None
        for row in rows[1:]:
            assert row.type is not None
            assert row.text is not None
            state = self._evolve(state, codec.decode_event(row.type, row.text))
        version = rows[0].stream_version or 0 if rows else 0
        return Loaded(stream_id=stream_id, version=version, state=state)


def _is_complete(rows: list[Row]) -> bool:
    """Whether the events are dense, from the snapshot's version to the stream's."""
    if not rows:
        return True
    if rows[0].stream_version is None:
        return False  # events without their stream: it was inserted while we waited
    first = rows[0].version or 0
    return [row.version for row in rows[1:]] == list(range(first + 1, rows[0].stream_version + 1))
