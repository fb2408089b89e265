"""The mediator: one registry of handlers, `send` for commands and `ask` for queries.

Nothing that sends a command knows who handles it; the API, the forms and
`sendcommands` all come through here.
"""

import random
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from messaging.eventstore.unit_of_work import UnitOfWork, in_one_transaction
from messaging.exceptions import (
    ConcurrencyError,
    ConcurrentChange,
    RegistrationError,
    UnknownMessage,
)
from messaging.message import COMMANDS, QUERIES, Context, Result
from messaging.projections.registry import Projection
from messaging.projections.serving.consistency_token import Position
from messaging.projections.serving.waiting import wait_for

C = TypeVar("C")
Q = TypeVar("Q")
A = TypeVar("A")

ATTEMPTS = 8  # of a command that loses races, some 10 ms apart

CommandHandler = Callable[[Any, UnitOfWork], Result]
QueryHandler = Callable[..., Any]

_command_handlers: dict[type, CommandHandler] = {}
_query_handlers: dict[type, QueryHandler] = {}
_query_projections: dict[type, Projection] = {}
_personal_queries: set[type] = set()


class Reader(Protocol):
    """Who asks a query, as Django's users are, and its AnonymousUser."""

    @property
    def is_staff(self) -> bool: ...
    def get_username(self) -> str: ...
    def has_perm(self, perm: str, /) -> bool: ...


class Nobody:
    is_staff = False

    def get_username(self) -> str:
        return ""

    def has_perm(self, perm: str, /) -> bool:
        return False


NOBODY = Nobody()


def handles(
    command_type: type[C],
) -> Callable[[Callable[[C, UnitOfWork], Result]], Callable[[C, UnitOfWork], Result]]:
    """Register the function that handles a command: load, decide, append; nothing else.

    It runs inside the one transaction of the command and may run again when a race is
    lost, so it has no effects beside those on the unit of work.
    """

    def register(handler: Callable[[C, UnitOfWork], Result]) -> Callable[[C, UnitOfWork], Result]:
        _add(_command_handlers, COMMANDS, command_type, handler)
        return handler

    return register


def answers(
    query_type: type[Q], projection: Projection
) -> Callable[[Callable[[Q], A]], Callable[[Q], A]]:
    """Register the function that answers a query from the read models of a projection."""

    def register(handler: Callable[[Q], A]) -> Callable[[Q], A]:
        _add(_query_handlers, QUERIES, query_type, handler)
        _query_projections[query_type] = projection
        return handler

    return register


def answers_personally(
    query_type: type[Q], projection: Projection
) -> Callable[[Callable[[Q, Reader], A]], Callable[[Q, Reader], A]]:
    """As `answers`, of a query whose answer depends on who asks: no cache may give it to
    anybody else."""

    def register(handler: Callable[[Q, Reader], A]) -> Callable[[Q, Reader], A]:
        answers(query_type, projection)(handler)  # type: ignore[arg-type]  # called with both
        _personal_queries.add(query_type)
        return handler

    return register


def is_personal(query_type: type) -> bool:
    return query_type in _personal_queries


def send(command: object, context: Context) -> Result:
    """Carry out a command in one durable transaction, and return its result.

    A command that the same actor sent before with the same command id is not carried
    out again: its first result is returned, or its first refusal raised. Raises
    `DomainError` as the domain decides, `ConcurrentChange` when retries did not settle a
    race, `UnknownMessage` when nothing handles it. Must not be called inside a
    transaction.
    """
    handler = handler_of(type(command))
    for attempt in range(ATTEMPTS):
        try:
            return in_one_transaction(context, lambda unit: handler(command, unit))
        except ConcurrencyError:
            # Wait for longer each time, and not in step with who else lost.
            time.sleep(random.uniform(0.5, 1.5) * 0.002 * 2**attempt)
        except Exception as error:
            # A log shows it below the traceback.
            sent = context.command_id or "without an id of its sender"
            error.add_note(f"While handling {type(command).__name__} (command {sent}).")
            raise
    raise ConcurrentChange


def ask(query: object, reached: Position | None = None, reader: Reader = NOBODY) -> Any:
    """Answer a query from the read models, in whatever form its handler returns.

    With `reached`, the answer shows at least that version of that stream; raises
    `ReadSideBehind` if the read side does not get there in time.
    """
    handler = answerer_of(type(query))
    if reached is not None:
        wait_for(_query_projections[type(query)], reached)
    return handler(query, reader) if is_personal(type(query)) else handler(query)


def handler_of(command_type: type) -> CommandHandler:
    try:
        return _command_handlers[command_type]
    except KeyError:
        raise UnknownMessage(f"No handler handles {command_type.__name__}.") from None


def answerer_of(query_type: type) -> QueryHandler:
    try:
        return _query_handlers[query_type]
    except KeyError:
        raise UnknownMessage(f"No handler answers {query_type.__name__}.") from None


def unhandled() -> list[type]:
    """The registered commands and queries that nothing handles (a system check asks)."""
    return [
        *(c for c in COMMANDS.values() if c not in _command_handlers),
        *(q for q in QUERIES.values() if q not in _query_handlers),
    ]


def _add(
    handlers: dict[type, Any], messages: dict[str, type], message_type: type, handler: Any
) -> None:
    if message_type not in messages.values():
        raise RegistrationError(f"{message_type.__name__} is not registered as a message.")
    if message_type in handlers:
        raise RegistrationError(
            f"{message_type.__name__} has two handlers: "
            f"{handlers[message_type].__qualname__} and {handler.__qualname__}."
        )
    handlers[message_type] = handler
