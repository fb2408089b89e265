"""The repository: loads a stream as the state that its events add up to, and saves new events."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from messaging import codec
from messaging.eventstore import statements
from messaging.eventstore.snapshots import EVERY, SnapshotCodec
from messaging.eventstore.statements import Row, Snapshot
from messaging.eventstore.unit_of_work import UnitOfWork
from messaging.exceptions import (
    ConcurrencyError,
    DecodeError,
    DomainError,
    NeedsNewerCode,
    PreconditionFailed,
    UnknownMessage,
)
from messaging.message import Result

S = TypeVar("S")
E = TypeVar("E")

log = logging.getLogger("postlog.store")

STREAM_TYPES: set[str] = set()  # those that this code writes
NO_SNAPSHOT = ""  # the schema that none has


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[S]):
    """A stream as it stands, locked until the end of the transaction."""

    stream_id: UUID
    version: int  # 0: it has no events
    state: S | None  # None: it has no events
    snapshot: int = 0  # the version of the snapshot that it was loaded from; 0: of none
    foreign: bool = False  # the id is one of another type of stream: nothing can be saved


class Repository(Generic[S, E]):
    """All streams of one type.

    `evolve(state, event)` returns the state after the event; it owns the state that it
    is given and may change it in place. Raise `schema` when it gives the events another
    meaning: snapshots carry it, and those of another one are not used. `before_snapshot` may
    bring a state into another form that means the same.
    """

    def __init__(
        self,
        stream_type: str,
        evolve: Callable[[S | None, E], S],
        state_type: type[S],
        *,
        schema: int,
        before_snapshot: Callable[[S], None] | None = None,
    ) -> None:
        self._stream_type = stream_type
        self._before_snapshot = before_snapshot
        STREAM_TYPES.add(stream_type)
        self._evolve = evolve
        self._snapshots = SnapshotCodec(state_type, schema)

    def load(self, unit: UnitOfWork, stream_id: UUID) -> Loaded[S]:
        """Lock a stream and load it. One that does not exist, or is of another type, has
        version 0 and no state. Raises `NeedsNewerCode` if one of its events is of a type or
        version that this code does not know."""
        rows = _read(stream_id, self._snapshots.schema)
        if rows and rows[0].type != self._stream_type:
            return Loaded(stream_id=stream_id, version=0, state=None, foreign=True)
        try:
            state = self._snapshot_of(rows)
        except DecodeError as error:
            log.warning("stream %s is loaded without its snapshot: %s", stream_id, error)
            rows, state = _read(stream_id, NO_SNAPSHOT), None
        if not rows:
            return self.new(stream_id)
        events = _decoded(stream_id, rows[1:])
        return Loaded(
            stream_id=stream_id,
            version=rows[0].stream_version or 0,
            state=self._after(state, events),
            snapshot=rows[0].version or 0,
        )

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
        """Append the events, which may be none, to the stream as it was loaded.

        This hands the state of `loaded` over. Raises `PreconditionFailed` if the sender wanted
        another version; only here, because what would be refused anyway is refused for that
        reason (RFC 9110, 13.2.1). Raises `DomainError` if the id is one of another type of stream.
        """
        if loaded.foreign and events:
            raise DomainError("id_taken", "This id belongs to something else. Choose another one.")
        wanted = unit.context.if_version
        if wanted is not None and loaded.version not in wanted:
            is_now = f"It has changed meanwhile: it is at version {loaded.version}."
            raise PreconditionFailed("precondition_failed", is_now)
        version = unit.append(
            self._stream_type, loaded.stream_id, loaded.version, events, self._due(loaded, events)
        )
        return Result(stream_id=loaded.stream_id, version=version, ids=ids, created=created)

    def _due(self, loaded: Loaded[S], events: Sequence[E]) -> Snapshot | None:
        """The snapshot to write with the events, if the last one is far behind."""
        if not events or loaded.version + len(events) - loaded.snapshot < EVERY:
            return None
        state = self._after(loaded.state, events)
        assert state is not None
        if self._before_snapshot is not None:
            self._before_snapshot(state)
        return Snapshot(self._snapshots.schema, self._snapshots.encode(state))

    def _after(self, state: S | None, events: Sequence[E]) -> S | None:
        for event in events:
            state = self._evolve(state, event)
        return state

    def _snapshot_of(self, rows: list[Row]) -> S | None:
        """The state of the snapshot, if there is one. Raises `DecodeError`."""
        if not rows or rows[0].text is None:
            return None
        if (rows[0].version or 0) > (rows[0].stream_version or 0):
            raise DecodeError("it is of a later version than the stream")
        return self._snapshots.decode(rows[0].text)


def _read(stream_id: UUID, schema: str) -> list[Row]:
    """Lock the stream and read all of it, from the snapshot of that schema on."""
    rows = statements.load(stream_id, schema)
    if not _is_complete(rows):
        # We waited for the lock, so the statement's snapshot is older than the row that
        # it locked. Now that we hold it, a second look sees everything.
        rows = statements.load(stream_id, schema)
        if not _is_complete(rows):
            raise ConcurrencyError
    return rows


def _decoded(stream_id: UUID, rows: Sequence[Row]) -> list[Any]:
    try:
        return [codec.decode_event(row.type or "", row.text or "") for row in rows]
    except UnknownMessage as error:
        raise NeedsNewerCode(
            f"Stream {stream_id} has an event that this process does not know: {error} Start it "
            "with the newer code."
        ) from error


def _is_complete(rows: list[Row]) -> bool:
    """Whether the events are dense, from the snapshot's version to the stream's."""
    if not rows:
        return True
    if rows[0].stream_version is None:
        return False  # events without their stream: it was inserted while we waited
    first = rows[0].version or 0
    return [row.version for row in rows[1:]] == list(range(first + 1, rows[0].stream_version + 1))
