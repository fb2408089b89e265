"""The mediator: one registry of handlers, `send` for commands and `ask` for queries.

Nothing that sends a command knows who handles it; the API, the forms and
`sendcommands` all come through here, and here it is asked who may (messaging/access.py).
"""

import random
import time
import typing
from collections.abc import Callable, Collection, Sequence
from inspect import signature
from typing import Any, ForwardRef, Generic, TypeVar, overload

from messaging import inline, signals
from messaging.access import ANONYMOUS, NOBODY, Asker, NamedAsker, anyone, require
from messaging.eventstore import receipts, statements
from messaging.eventstore.results import Returned, ids_of, result_of
from messaging.eventstore.round_trips import Transaction, durable_transaction
from messaging.eventstore.unit_of_work import UnitOfWork, require_username, unit_of_work
from messaging.exceptions import (
    ConcurrencyError,
    ConcurrentChange,
    DomainError,
    Forbidden,
    NotTogether,
    RegistrationError,
    UnknownMessage,
)
from messaging.message import (
    COMMANDS,
    INTERNAL_COMMANDS,
    INTERNAL_QUERIES,
    QUERIES,
    Context,
    Position,
    Query,
    Result,
    who_may,
)
from messaging.projections.registry import Projection
from messaging.projections.serving.waiting import wait_for

C = TypeVar("C")
Q_co = TypeVar("Q_co", covariant=True)
A = TypeVar("A")
R = TypeVar("R", bound=Returned)

ATTEMPTS = 8  # at a command that loses races, some 10 ms apart

CommandHandler = Callable[[Any, UnitOfWork], Returned]
QueryHandler = Callable[..., Any]

_command_handlers: dict[type, CommandHandler] = {}
_creating_commands: set[type] = set()
_query_handlers: dict[type, QueryHandler] = {}
_query_projections: dict[type, tuple[Projection, ...]] = {}
_asker_queries: set[type] = set()  # whose handlers are handed who asks

Registries = tuple[dict[str, type], ...]
_COMMANDS: Registries = (COMMANDS, INTERNAL_COMMANDS)
_QUERIES: Registries = (QUERIES, INTERNAL_QUERIES)


def handles(
    command_type: type[C], *, creates: bool = False
) -> Callable[[Callable[[C, UnitOfWork], R]], Callable[[C, UnitOfWork], R]]:
    """Register the function that handles a command: load, decide, append; nothing else.

    It may do so with several streams, of several types, and returns what `Repository.save`
    returned, or a list of that. All of it is stored, or nothing; which stream `ETag` and `If-Match`
    are of is said in eventstore/results.py.

    The handler runs inside the command's one transaction, and again if that loses a race: its only
    effects are those on the unit of work. `creates`: what it appends brings something new into
    being, which the API answers with 201.
    """

    def register(handler: Callable[[C, UnitOfWork], R]) -> Callable[[C, UnitOfWork], R]:
        _add(_command_handlers, _COMMANDS, command_type, handler)
        if creates:
            _creating_commands.add(command_type)
        return handler

    return register


class answers(Generic[Q_co]):
    """Register the function that answers a query from a projection's read models, or those of
    several: `@answers(FindOrder, orders)`.

    A function of two arguments is handed who asks as well; such an answer is for them alone, and
    no cache may give it to anybody else. A class, because so a type checker holds both that the
    function takes this query and that it returns what the query declares,
    `FindOrder(Query[OrderDetail])`.
    """

    def __init__(self, query_type: type[Q_co], *projections: Projection) -> None:
        self._query_type, self._projections = query_type, projections

    @overload
    def __call__(
        self: "answers[Query[A]]", handler: Callable[[Q_co], A]
    ) -> Callable[[Q_co], A]: ...
    @overload
    def __call__(
        self: "answers[Query[A]]", handler: Callable[[Q_co, Asker], A]
    ) -> Callable[[Q_co, Asker], A]: ...
    def __call__(self, handler: Any) -> Any:
        _add(_query_handlers, _QUERIES, self._query_type, handler)
        _query_projections[self._query_type] = self._projections
        if len(signature(handler).parameters) == 2:
            _asker_queries.add(self._query_type)
        return handler


def is_personal(query_type: type) -> bool:
    """Tell whether the answer is not for everybody."""
    return query_type in _asker_queries or who_may(query_type) is not anyone


def send(command: object, context: Context) -> Result:
    """Carry out a command in one durable transaction, and return its result.

    A command that the same actor sent before under the same command id is not carried out
    again: its first result is returned, or its first refusal raised. Raises `NotSignedIn` or
    `Forbidden` if the sender may not send it, which is no outcome and not remembered, `DomainError`
    as the domain decides, `ConcurrentChange` if retries did not settle a race, `UnknownMessage` if
    nothing handles the command. Must not be called inside a transaction.
    """
    handler = handler_of(type(command))
    _require_permission(command, context)
    for attempt in range(ATTEMPTS):
        try:
            with unit_of_work(context) as uow:
                outcome = uow.earlier or _carried_out(command, handler, uow)
            result = outcome.replay()
            if uow.earlier is None:
                _announce(command, context, result)
            return result
        except ConcurrencyError:
            # Wait longer each time, and out of step with the others that lost.
            time.sleep(random.uniform(0.5, 1.5) * 0.002 * 2**attempt)
        except Exception as error:
            # A log shows it below the traceback.
            sent = context.command_id or "without an id of its sender"
            error.add_note(f"While handling {type(command).__name__} (command {sent}).")
            raise
    raise ConcurrentChange


def send_together(sent: Sequence[tuple[object, Context]]) -> list[Result | DomainError]:
    """Carry out several commands in one durable transaction, which costs less than one for each.

    Each has the outcome that it would have had behind those before it: its result, or its refusal,
    which is remembered. Their contexts have command ids. Whatever else is raised, nothing is
    stored, and nothing is tried again: send them one by one.
    """
    outcomes: list[Result | DomainError] = []
    with durable_transaction() as opened:
        keys = [(context.actor, context.command_id) for _, context in sent if context.command_id]
        known = receipts.find_all(keys)
        statements.load_ahead({one for command, _ in sent for one in ids_of(command)})
        for (command, context), text in zip(sent, known, strict=True):
            try:
                outcomes.append(_one_of_several(command, context, text, opened))
            except DomainError as refusal:
                outcomes.append(refusal)
    for (command, context), text, outcome in zip(sent, known, outcomes, strict=True):
        if text is None and isinstance(outcome, Result):
            _announce(command, context, outcome)
    return outcomes


def _one_of_several(
    command: object, context: Context, text: str | None, opened: Transaction
) -> Result:
    _require_permission(command, context)
    require_username(context)
    if text is not None:
        return receipts.outcome_in(text, context).replay()
    opened.begin_part()
    try:
        return _carried_out(command, handler_of(type(command)), UnitOfWork(context)).replay()
    except DomainError as refusal:
        if isinstance(refusal, receipts.NOT_STORED) or not opened.take_back():
            raise NotTogether from refusal
        receipts.add_refusal(context, refusal)
        raise


def _announce(command: object, context: Context, result: Result) -> None:
    signals.stored.send_robust(type(command), command=command, context=context, result=result)


def _require_permission(command: object, context: Context) -> None:
    sender = NamedAsker(context.actor) if context.asker is None else context.asker
    require(who_may(type(command)), sender)
    if context.actor == ANONYMOUS and sender.is_authenticated:
        raise Forbidden("reserved_name", f"The name {ANONYMOUS} stands for nobody. Change yours.")


def _carried_out(
    command: object, handler: CommandHandler, uow: UnitOfWork
) -> receipts.StoredOutcome:
    creates = type(command) in _creating_commands
    outcome = uow.succeed(result_of(command, handler(command, uow), uow, creates=creates))
    inline.apply(uow.grown())
    return outcome


def ask(query: Query[A], reached: Collection[Position] = (), asker: Asker = NOBODY) -> A:
    """Answer a query from the read models.

    With `reached`, such as a result's `positions`, the answer shows at least those versions of
    those streams, as far as the query's projections take in their types. Raises `NotSignedIn` or
    `Forbidden` if the asker may not ask it, `ReadSideBehind` if the read side does not get there in
    time.
    """
    handler = answerer_of(type(query))
    require(who_may(type(query)), asker)
    for projection in _query_projections[type(query)] if reached else ():
        wait_for(projection, reached)
    answer: A = handler(query, asker) if type(query) in _asker_queries else handler(query)
    return answer


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


def answer_of(query_type: type) -> Any:
    """Return the type of a query's answers: what the query declares, `Query[...]`, or what its
    handler is annotated to return; None if neither says, or says what there is not."""
    for base in getattr(query_type, "__orig_bases__", ()):
        if typing.get_origin(base) is Query:
            (declared,) = typing.get_args(base)
            if not isinstance(declared, TypeVar | ForwardRef):
                return declared
    try:
        return typing.get_type_hints(answerer_of(query_type)).get("return")
    except NameError:
        return None


def unhandled() -> list[type]:
    """List the registered commands and queries without a handler, for a system check."""
    return [
        *(c for c in _all(_COMMANDS) if c not in _command_handlers),
        *(q for q in _all(_QUERIES) if q not in _query_handlers),
    ]


def _all(registries: Registries) -> list[type]:
    return [message for registry in registries for message in registry.values()]


def _add(
    handlers: dict[type, Any], registries: Registries, message_type: type, handler: Any
) -> None:
    if message_type not in _all(registries):
        raise RegistrationError(f"{message_type.__name__} is not registered as a message.")
    if message_type in handlers:
        raise RegistrationError(
            f"{message_type.__name__} has two handlers: "
            f"{handlers[message_type].__qualname__} and {handler.__qualname__}."
        )
    handlers[message_type] = handler
