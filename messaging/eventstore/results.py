"""What the sender of a command gets: made of what its handler returned and saved."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from messaging.eventstore.unit_of_work import Appended, UnitOfWork
from messaging.exceptions import PreconditionFailed
from messaging.message import OWN, Result, id_fields

Returned = Appended | Sequence[Appended]


def result_of(command: Any, returned: Returned, uow: UnitOfWork, *, creates: bool) -> Result:
    """Make a command's result of all streams that it saved.

    First comes the stream that the command **names**: the first of its id fields that holds the id
    of a stream that the handler has loaded. If none does (a new stream, a natural key), it is that
    of the first `Appended` that the handler returned. Reservations are left out: no query waits for
    them. `ETag` and `If-Match` are about that stream:
    raises `PreconditionFailed` if the sender asked for another version of it than the handler has
    found. This is checked last: a command that would be refused anyway is refused for that other
    reason (RFC 9110, 13.2.1).
    """
    appended = _checked(command, returned, uow)
    named = _named_stream(command, appended[0].stream_id, uow)
    _require_version(uow, named)
    saved = dict(uow.saved)
    first = saved.pop(named, uow.loaded[named])
    appended.sort(key=lambda one: one.stream_id == named)
    return Result(
        positions=(first, *(one for one in saved.values() if not one.stream_type.startswith(OWN))),
        ids=_ids(command, appended),
        created=creates and any(one.events for one in appended),
        correlation_id=uow.correlation_id,
    )


def _checked(command: Any, returned: Returned, uow: UnitOfWork) -> list[Appended]:
    found = [returned] if isinstance(returned, Appended) else returned
    if (
        isinstance(found, Sequence)
        and found
        and all(isinstance(one, Appended) and one.stream_id in uow.loaded for one in found)
    ):
        return list(found)
    raise TypeError(
        f"The handler of {type(command).__name__} returned {returned!r:.200}. A handler returns "
        "what Repository.save returned, or a list of that."
    )


def _named_stream(command: Any, otherwise: UUID, uow: UnitOfWork) -> UUID:
    return next((one for one in ids_of(command) if one in uow.loaded), otherwise)


def ids_of(command: Any) -> list[UUID]:
    """What stands in the command's id fields. Those that its sender left out are left out."""
    ids = [getattr(command, name) for name in _id_fields(command)]
    return [one for one in ids if one is not None]


def _id_fields(command: Any) -> tuple[str, ...]:
    command_type: type = type(command)
    return id_fields(command_type)


def _require_version(uow: UnitOfWork, stream_id: UUID) -> None:
    wanted, found = uow.context.if_version, uow.loaded[stream_id].version
    if wanted is not None and found not in wanted:
        is_now = f"It has changed meanwhile: it is at version {found}."
        raise PreconditionFailed("precondition_failed", is_now)


def _ids(command: Any, appended: Sequence[Appended]) -> dict[str, UUID]:
    """The ids in the command's fields. What its sender left out is taken from the events, those of
    the stream that it names before those of others."""
    ids: dict[str, UUID] = {}
    for source in (*(event for one in appended for event in one.events), command):
        for name in _id_fields(command):
            if (value := getattr(source, name, None)) is not None:
                ids[name] = value
    return ids
