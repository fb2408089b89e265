"""The repository: load the state that a stream's events add up to, and append new events."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from messaging import codec
from messaging.eventstore import statements
from messaging.eventstore.keys import id_of_key, is_of_key
from messaging.eventstore.models import Stream
from messaging.eventstore.snapshots import EVERY, SnapshotCodec
from messaging.eventstore.statements import Row, Snapshot
from messaging.exceptions import (
    ConcurrencyError,
    DecodeError,
    DomainError,
    NeedsNewerCode,
    RegistrationError,
    UnknownMessage,
)
from messaging.message import Position, event_types_of, naming_of

if TYPE_CHECKING:  # a unit of work has reservations, which are kept by a repository
    from messaging.eventstore.unit_of_work import Appended, UnitOfWork

S = TypeVar("S")
E = TypeVar("E")

log = logging.getLogger("postlog.store")

REPOSITORIES: dict[str, "Repository[Any, Any]"] = {}  # by the stream type that this code writes
NO_SNAPSHOT = ""  # a schema that no snapshot has


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[S]):
    """A stream as it stands; locked until the end of the transaction."""

    stream_id: UUID
    version: int  # 0: it has no events
    state: S | None  # None: it has no events
    snapshot: int = 0  # the version of the snapshot that it was loaded from; 0: none
    foreign: bool = False  # nothing can be saved: the id is of another type, or only for a key


class Repository(Generic[S, E]):
    """All streams of one type: load one, decide, save what was decided.

    `evolve(state, event)` returns the state after the event; it owns the state that it
    is given and may change it in place. Raise `schema` when `evolve` changes what events mean:
    snapshots carry the number, and those with another one are ignored. `before_snapshot` may
    turn a state into another form with the same meaning.

    With `id_of`, streams are named by a text, such as a SKU: `load(uow, "TEA-1")`. It returns what
    of that text counts (`str.casefold`: not the case). Never change it, nor what names a stream.
    """

    def __init__(
        self,
        stream_type: str,
        evolve: Callable[[S | None, E], S],
        state_type: type[S],
        *,
        schema: int,
        before_snapshot: Callable[[S], None] | None = None,
        id_of: Callable[[str], str] | None = None,
    ) -> None:
        _require_own_events(stream_type, evolve)
        self.stream_type = stream_type
        self.evolve = evolve
        self._before_snapshot = before_snapshot
        self._id_of = id_of
        REPOSITORIES.setdefault(stream_type, self)
        self._snapshots = SnapshotCodec(state_type, schema)

    def new(self, uow: "UnitOfWork", stream_id: UUID | None = None) -> Loaded[S]:
        """Start a stream under an id that nobody has used, by default a new one.

        Nothing is read. Saving raises `ConcurrencyError` if the stream exists after all.
        """
        if self._id_of is not None:
            raise TypeError(
                f"A {self.stream_type!r} is named by its key, which may be in use: begin it with "
                "load(uow, key), whose state is None if there is none yet."
            )
        new_id = stream_id or uow.new_id()
        return Loaded(stream_id=new_id, version=0, state=None, foreign=is_of_key(new_id))

    @property
    def has_keys(self) -> bool:
        """Whether its streams are named by a text."""
        return self._id_of is not None

    def stream_id_of(self, key: str) -> UUID:
        """Return the id of the stream that the key names, whether there is one or not.

        Raises `Invalid` (400 `invalid_key`) for a key that cannot name anything.
        """
        if self._id_of is None:
            raise TypeError(
                f"A {self.stream_type!r} is named by its UUID, not by {key!r:.80}. Keys are for "
                "repositories that say which text counts: Repository(..., id_of=str.casefold)."
            )
        return id_of_key(self.stream_type, self._id_of(key))

    def version_of(self, stream_id: UUID) -> int:
        """Return the version that was committed last, without a lock; 0: no such stream."""
        found = Stream.objects.filter(stream_id=stream_id, stream_type=self.stream_type)
        return found.values_list("version", flat=True).first() or 0

    def load(self, uow: "UnitOfWork", named: UUID | str) -> Loaded[S]:
        """Lock a stream and load it, by its id or by its natural key.

        A stream that does not exist, or is of another type, has version 0 and no state. Raises
        `Invalid` for a key that cannot name anything, `NeedsNewerCode` if this code does not know
        the type or version of one of its events.
        """
        if isinstance(named, str):
            return self.load_id(uow, self.stream_id_of(named), may_begin=True)
        may_begin = self._id_of is None and not is_of_key(named)
        return self.load_id(uow, named, may_begin=may_begin)

    def load_id(self, uow: "UnitOfWork", stream_id: UUID, *, may_begin: bool) -> Loaded[S]:
        """Load by id. `may_begin`: a stream may begin under this id if there is none."""
        rows = _read(stream_id, self._snapshots.schema)
        if rows and rows[0].type != self.stream_type:
            return Loaded(stream_id=stream_id, version=0, state=None, foreign=True)
        try:
            state = self._snapshot_of(rows)
        except DecodeError as error:
            log.warning("stream %s is loaded without its snapshot: %s", stream_id, error)
            rows, state = _read(stream_id, NO_SNAPSHOT), None
        if not rows:
            new: Loaded[S] = Loaded(
                stream_id=stream_id, version=0, state=None, foreign=not may_begin
            )
            return self._noted(uow, new)
        events = _decoded(stream_id, rows[1:])
        found = Loaded(
            stream_id=stream_id,
            version=rows[0].stream_version or 0,
            state=self._after(state, events),
            snapshot=rows[0].version or 0,
        )
        return self._noted(uow, found)

    def save(self, uow: "UnitOfWork", loaded: Loaded[S], events: Sequence[E]) -> "Appended":
        """Append events, maybe none, to the stream as it was loaded.

        Takes over the state in `loaded`, which is of no use afterwards. Raises `DomainError` if
        the id belongs to something else.
        """
        if loaded.foreign and events:
            raise DomainError("id_taken", "This id belongs to something else. Choose another one.")
        snapshot = self._due_snapshot(loaded, events)
        return uow.append(self.stream_type, loaded.stream_id, loaded.version, events, snapshot)

    def _noted(self, uow: "UnitOfWork", found: Loaded[S]) -> Loaded[S]:
        if not found.foreign:
            position = Position(self.stream_type, found.stream_id, found.version)
            uow.loaded.setdefault(found.stream_id, position)
        return found

    def _due_snapshot(self, loaded: Loaded[S], events: Sequence[E]) -> Snapshot | None:
        """Make the snapshot to write with the events, if the last one is far behind."""
        if not events or loaded.version + len(events) - loaded.snapshot < EVERY:
            return None
        state = self._after(loaded.state, events)
        assert state is not None
        if self._before_snapshot is not None:
            self._before_snapshot(state)
        return Snapshot(self._snapshots.schema, self._snapshots.encode(state))

    def _after(self, state: S | None, events: Sequence[E]) -> S | None:
        for event in events:
            state = self.evolve(state, event)
        return state

    def _snapshot_of(self, rows: list[Row]) -> S | None:
        """Decode the snapshot, if there is one. Raises `DecodeError`."""
        if not rows or rows[0].text is None:
            return None
        if (rows[0].version or 0) > (rows[0].stream_version or 0):
            raise DecodeError("the snapshot is of a later version than the stream")
        return self._snapshots.decode(rows[0].text)


def _require_own_events(stream_type: str, evolve: Callable[..., Any]) -> None:
    """Raise if `evolve` says by its annotation that it takes events of another type of stream."""
    for event_type in event_types_of(evolve):
        if (stream := naming_of(event_type).stream) != stream_type:
            raise RegistrationError(
                f"Repository({stream_type!r}): its evolve takes {event_type.__name__}, an event of "
                f"the stream type {stream!r}. Take it out, or correct @event(..., stream=)."
            )


def _read(stream_id: UUID, schema: str) -> list[Row]:
    """Lock the stream and read all of it, from the snapshot of that schema on."""
    rows = statements.load(stream_id, schema)
    if not _is_complete(rows):
        # We waited for the lock, so the statement's snapshot is older than the row that
        # it locked. Now that we hold the lock, a second read sees everything.
        rows = statements.load(stream_id, schema)
        if not _is_complete(rows):
            raise ConcurrencyError
    return rows


def _decoded(stream_id: UUID, rows: Sequence[Row]) -> list[Any]:
    try:
        return [codec.decode_event(row.type or "", row.text or "") for row in rows]
    except UnknownMessage as error:
        raise NeedsNewerCode(
            f"Stream {stream_id} has an event that this process does not know: {error} Restart "
            "the process with the newer code."
        ) from error


def _is_complete(rows: list[Row]) -> bool:
    """Tell whether there is an event for each version from the snapshot's to the stream's."""
    if not rows:
        return True
    if rows[0].stream_version is None:
        return False  # events without their stream: it was inserted while we waited
    first = rows[0].version or 0
    return [row.version for row in rows[1:]] == list(range(first + 1, rows[0].stream_version + 1))
