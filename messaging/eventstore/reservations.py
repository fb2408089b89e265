"""Values that may be used once, such as usernames: each is a small stream of its own.

Its last event says which stream holds the value. So a stream's version makes it unique, and it is
restored, verified and published as any other event.
docs/decisions/0030-natural-keys-and-reservations.md
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from messaging.eventstore.keys import id_of_key, in_words
from messaging.eventstore.repository import Loaded, Repository
from messaging.exceptions import AlreadyReserved, DomainError
from messaging.message import event

if TYPE_CHECKING:
    from messaging.eventstore.unit_of_work import UnitOfWork

STREAM_TYPE = "postlog.reservation"


@event("postlog.reserved.v1", stream=STREAM_TYPE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A value that may be used once is taken. The stream's id is made of it; it stands nowhere."""

    kind: str  # such as "username"
    holder: UUID  # the id of the stream that has it


@event("postlog.released.v1", stream=STREAM_TYPE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The value is free again."""

    kind: str
    holder: UUID  # the id of the stream that had it


@dataclass(slots=True, kw_only=True)
class Reservation:
    holder: UUID | None  # None: it is free


def evolve(state: Reservation | None, event: Reserved | Released) -> Reservation:
    return Reservation(holder=event.holder if isinstance(event, Reserved) else None)


reservations: Repository[Reservation, Reserved | Released] = Repository(
    STREAM_TYPE, evolve, Reservation, schema=1
)


def reserve(uow: "UnitOfWork", kind: str, key: str, holder: UUID) -> None:
    """As `UnitOfWork.reserve` says."""
    found = _load(uow, kind, key)
    held_by = found.state.holder if found.state else None
    if held_by is None:
        reservations.save(uow, found, [Reserved(kind=kind, holder=holder)])
    elif held_by != holder:
        raise AlreadyReserved(
            f"{kind}_taken", f"This {in_words(kind)} is taken. Choose another one."
        )


def release(uow: "UnitOfWork", kind: str, key: str, holder: UUID) -> None:
    """As `UnitOfWork.release` says."""
    found = _load(uow, kind, key)
    if found.state is None or found.state.holder != holder:
        raise DomainError(
            f"{kind}_not_held",
            f"This {in_words(kind)} is not reserved for what would release it.",
        )
    reservations.save(uow, found, [Released(kind=kind, holder=holder)])


def id_of(kind: str, key: str) -> UUID:
    """Return the id of a value's stream. Raises `Invalid` for a key that cannot name anything."""
    if not kind.isidentifier():
        raise ValueError(f"{kind!r:.80} is no kind of value: say it in a word, such as 'username'.")
    return id_of_key(f"{STREAM_TYPE}.{kind}", key)


def _load(uow: "UnitOfWork", kind: str, key: str) -> Loaded[Reservation]:
    return reservations.load_id(uow, id_of(kind, key), may_begin=True)
