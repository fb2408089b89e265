"""Where each stream of a history stands while its events come in."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging.eventstore import bulk
from messaging.eventstore.repository import REPOSITORIES, Repository
from messaging.eventstore.unit_of_work import UnitOfWork
from messaging.importing.lines import Change, ImportedEvent, Wrong
from messaging.message import Context, Position

MAX_KEPT = 50_000  # streams in memory; others are looked up again
NONE = -1  # no state can be made, because an event is wrong or missing


class Stream:
    """A stream: as the store has it, with the events that were taken since."""

    def __init__(self, stream_id: UUID, version: Position | None, at: datetime | None) -> None:
        self.stream_id = stream_id
        self.stream_type = version.stream_type if version is not None else ""
        self.version = self.stored = version.version if version is not None else 0
        self.at = at  # of the last event
        self._state: Any = None
        self._state_is_of = 0  # this version, or NONE

    def at_version(self, version: int) -> Position:
        return Position(self.stream_type, self.stream_id, version)

    def pass_over(self) -> None:
        """Leave the next version out, whose line is wrong: its fault is named there."""
        self.version += 1
        self.doubt()

    def doubt(self) -> None:
        """Take no state for certain any more: a line that would have changed it is wrong."""
        self._state_is_of = NONE

    @property
    def is_doubted(self) -> bool:
        return self._state_is_of == NONE

    def state_by(self, repository: Repository[Any, Any]) -> Any:
        """The state after the last event; None without one."""
        if self._state_is_of != self.version:
            uow = UnitOfWork(Context(actor=""))  # which only reads
            self._state = repository.load(uow, self.stream_id).state
            self._state_is_of = self.version
        return self._state

    def take(self, new: ImportedEvent) -> None:
        """Take the next event. Raises `Wrong`, after which later events are taken all the same: one
        fault is named once."""
        e, last, at = new.envelope, self.version, self.at
        self.version, self.at = e.version, e.recorded_at
        self.stream_type = self.stream_type or e.stream_type
        if e.version != last + 1 or e.stream_type != self.stream_type:
            self._state_is_of = NONE
        if e.version != last + 1:
            begins = f"the one before is {last}" if last else "they begin with 1"
            raise Wrong(f"version {e.version} of {e.stream_id} leaves a gap: {begins}")
        if e.stream_type != self.stream_type:
            raise Wrong(
                f"{e.type} belongs to streams of type {e.stream_type!r}, and {e.stream_id} is of "
                f"type {self.stream_type!r}"
            )
        self._evolve(new, last)
        if at is not None and e.recorded_at < at:
            raise Wrong(
                f"it was recorded before version {last} of {e.stream_id}, which was at "
                f"{at:%Y-%m-%d %H:%M:%S.%f} UTC: the times of a stream never go back"
            )

    def _evolve(self, new: ImportedEvent, last: int) -> None:
        """Let the domain take the event: what it cannot, would break every later command."""
        repository = REPOSITORIES.get(new.envelope.stream_type)
        if repository is None or self._state_is_of == NONE:
            return
        try:
            if self._state_is_of != last:
                uow = UnitOfWork(Context(actor=new.envelope.actor))
                self._state = repository.load(uow, new.envelope.stream_id).state
            self._state = repository.evolve(self._state, new.event)
            self._state_is_of = new.envelope.version
        except Exception as error:
            self._state_is_of = NONE
            raise Wrong(
                f"{new.envelope.type} cannot follow version {last} of this stream: "
                f"{type(error).__name__}: {error}"
            ) from None


class Streams:
    """The streams that came last, so that memory does not grow with the history."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Stream] = OrderedDict()

    def of(self, event: ImportedEvent) -> Stream:
        return self._kept[event.envelope.stream_id.int]

    def of_value(self, change: Change) -> Stream:
        return self._kept[change.stream_id.int]

    def load(self, stream_ids: Iterable[UUID]) -> list[Stream]:
        """Have these at hand, locked where they exist."""
        wanted = {one.int: one for one in stream_ids}
        unknown = [one for number, one in wanted.items() if number not in self._kept]
        found = bulk.lock_streams(unknown)
        last = bulk.events_at([(one.stream_id, one.version) for one in found.values()])
        for one in unknown:
            version = found.get(one)
            stored = last.get((one.int, version.version)) if version is not None else None
            at = stored.recorded_at if stored is not None else None
            self._kept[one.int] = Stream(one, version, at)
        for number in wanted:
            self._kept.move_to_end(number)
        return [self._kept[number] for number in wanted]

    def are_too_many(self) -> bool:
        return len(self._kept) > MAX_KEPT

    def forget(self) -> None:
        """Let those go that came first, while they are too many. Their events must be stored."""
        while self.are_too_many():
            self._kept.popitem(last=False)
