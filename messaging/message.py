"""Messages: commands, queries and events are frozen, slotted, keyword-only dataclasses.

The decorators here stand outermost, above `@dataclass(frozen=True, slots=True,
kw_only=True)`: under it they would register a class that `slots` then replaces.
"""

import typing
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from inspect import signature
from typing import Any, Generic, NamedTuple, TypeVar, overload
from uuid import UUID

from messaging.access import Asker, Who, signed_in
from messaging.exceptions import RegistrationError, UnknownMessage

A_co = TypeVar("A_co", covariant=True)
M = TypeVar("M", bound=type)
Q = TypeVar("Q", bound="type[Query[Any]]")

COMMANDS: dict[str, type] = {}  # by class name; without the internal ones
QUERIES: dict[str, type] = {}  # by class name; so too
INTERNAL_COMMANDS: dict[str, type] = {}  # by class name: for code alone, no endpoint, no line
INTERNAL_QUERIES: dict[str, type] = {}  # so too
EVENTS: dict[str, type] = {}  # by wire name
OWN_EVENTS: dict[str, type] = {}  # so too: bookkeeping of Postlog's, no contract of a project's
OWN = "postlog."  # how their wire names and stream types begin
_WIRE_NAMES: dict[type, str] = {}
_NAMING: dict[type, "Naming"] = {}
_WHO: dict[type, Who] = {}
_DATED: set[type] = set()

MAX_STREAM_TYPE = 100  # characters, as the columns hold
MAX_ACTOR = 254  # so too: an e-mail address (RFC 5321) can be one


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The stream type of an event, and what two kinds of its fields hold."""

    stream: str  # the type of the streams that it belongs to
    id_field: str  # holds the id of the event's own stream; empty: no field does
    usernames: tuple[str, ...]  # hold usernames


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What travels with a command without being a field of it."""

    actor: str  # the username of the sender
    at: datetime | None = None  # when they say to have written it (`dated`); None: now
    asker: Asker | None = None  # the sender with their rights; None: known by the name alone
    command_id: UUID | None = None  # chosen by the sender, so that sending again is safe
    fingerprint: str = ""  # of what was sent; under the same id, anything else is refused
    remember_for: timedelta | None = None  # how long to keep the receipt; None: for ever
    if_version: frozenset[int] | None = None  # refuse it unless the stream that it names is at one
    if_text: int | None = None  # refuse an edit unless the text it replaces has this fingerprint
    correlation_id: UUID | None = None  # of the conversation; None: a new one
    causation_id: UUID | None = None  # the id of the message that led to this command
    traceparent: str = ""  # W3C Trace Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is known about an event beside its payload. Made once, when it is appended."""

    event_id: UUID  # UUIDv7, random: the same version with another id is a fork
    stream_id: UUID
    stream_type: str
    version: int  # 1 for the first event of the stream, then dense
    type: str  # the wire name
    recorded_at: datetime  # UTC
    actor: str
    command_id: UUID
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str


_SETTERS: list[Callable[..., None]] = [getattr(Envelope, f.name).__set__ for f in fields(Envelope)]


def envelope_of(*values: Any) -> Envelope:
    """Make an envelope of the values of its fields, in their order. That of a frozen dataclass by
    its own means takes longer than to decode the record."""
    envelope: Envelope = object.__new__(Envelope)
    for setter, value in zip(_SETTERS, values, strict=True):
        setter(envelope, value)
    return envelope


class Position(NamedTuple):
    """A version of a stream."""

    stream_type: str
    stream_id: UUID
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the sender of a command gets."""

    positions: tuple[Position, ...]  # of its streams, after it; first of the one that it names
    ids: dict[str, UUID]  # by the command's field, such as {"order_id": ...}
    created: bool  # whether something new has come into being
    correlation_id: UUID | None = None  # of its events; None: a receipt from before this was kept

    @property
    def stream_id(self) -> UUID:
        """Of the stream that the command names."""
        return self.positions[0].stream_id

    @property
    def version(self) -> int:
        """Of that stream, after the command."""
        return self.positions[0].version


class Query(Generic[A_co]):
    """The base of a query says what answers it: `class FindOrder(Query[OrderDetail])`. So
    `mediator.ask` returns an `OrderDetail`, and a type checker knows it."""

    __slots__ = ()


@overload
def command(cls: M, /) -> M: ...
@overload
def command(*, who: Who = ..., internal: bool = ..., dated: bool = ...) -> Callable[[M], M]: ...
def command(
    cls: Any = None, /, *, who: Who = signed_in, internal: bool = False, dated: bool = False
) -> Any:
    """Register a command, named in the imperative, such as PlaceOrder.

    `who` may send it: `anyone`, `signed_in`, `staff` (messaging/access.py), a permission such as
    "orders.refund", or a function of the asker, whose docstring says who may. `internal`: for
    code alone, without an endpoint or a line in `sendcommands`. `dated`: its handler keeps the time
    that a line gives as `at`, `uow.context.at`.
    """
    return _registered(cls, INTERNAL_COMMANDS if internal else COMMANDS, who, dated)


@overload
def query(cls: Q, /) -> Q: ...
@overload
def query(*, who: Who = ..., internal: bool = ...) -> Callable[[Q], Q]: ...
def query(cls: Any = None, /, *, who: Who = signed_in, internal: bool = False) -> Any:
    """Register a query, such as FindOrder. `who` and `internal` are as of a command."""
    return _registered(cls, INTERNAL_QUERIES if internal else QUERIES, who)


def event(
    wire_name: str, *, stream: str, id_field: str = "", usernames: tuple[str, ...] = ()
) -> Callable[[M], M]:
    """Register an event under its versioned wire name:
    `@event("orders.order_placed.v1", stream="order", id_field="order_id")`.

    The name is stored with every event. Never change it: add the next version and an upcaster
    (messaging/codec/upcasting.py). `stream` is the type of the streams that the event belongs to,
    the first argument of their `Repository`. `id_field` names the field that holds the stream's id,
    `usernames` the fields that hold usernames. An event in a stream of another type, or with
    impossible values there, is neither stored nor consumed (messaging/plausible.py).
    """
    if not 0 < len(stream) <= MAX_STREAM_TYPE:
        raise RegistrationError(
            f"{wire_name!r}: stream={stream!r:.80} is no type of stream. Say which thing the event "
            f"is about, in 1 to {MAX_STREAM_TYPE} characters: stream='order'."
        )
    _, _, version = wire_name.rpartition(".v")
    if not (version.isascii() and version.isdigit()):
        raise RegistrationError(f"{wire_name!r}: an event's wire name must end in .v1, .v2, ...")

    def register(cls: M) -> M:
        if cls in _WIRE_NAMES:
            raise RegistrationError(f"{cls.__name__} is {_WIRE_NAMES[cls]} already.")
        _require_message(cls)
        known = {field.name for field in fields(cls)}
        if missing := {id_field, *usernames} - known - {""}:
            raise RegistrationError(f"{cls.__name__} has no field {', '.join(sorted(missing))}.")
        # Last: what was refused must not be found afterwards.
        _register(cls, OWN_EVENTS if wire_name.startswith(OWN) else EVENTS, wire_name)
        _WIRE_NAMES[cls] = wire_name
        _NAMING[cls] = Naming(stream=stream, id_field=id_field, usernames=usernames)
        return cls

    return register


def wire_name_of(event_type: type) -> str:
    try:
        return _WIRE_NAMES[event_type]
    except KeyError:
        raise UnknownMessage(f"{event_type.__name__} is not registered with @event.") from None


def naming_of(event_type: type) -> Naming:
    return _NAMING[event_type]


def event_types_of(evolve: Callable[..., Any]) -> frozenset[type]:
    """The events that `evolve(state, event)` takes, by the annotation of its second argument;
    none if that does not say."""
    try:
        names, hints = list(signature(evolve).parameters), typing.get_type_hints(evolve)
    except (NameError, TypeError, ValueError):
        return frozenset()
    hint = hints.get(names[1]) if len(names) > 1 else None
    return frozenset(typing.get_args(hint) or (hint,)) & _NAMING.keys()


def who_may(message_type: type) -> Who:
    """Return the rule of a command or query (messaging/access.py)."""
    return _WHO[message_type]


def is_dated(command_type: type) -> bool:
    return command_type in _DATED


def describe(envelope: Envelope) -> str:
    """Name an event in a line of the log, with the ids by which it is found (`manage.py trace`)."""
    return (
        f"{envelope.type} (event {envelope.event_id}, version {envelope.version} of stream "
        f"{envelope.stream_id}, command {envelope.command_id})"
    )


@cache
def id_fields(command_type: type) -> tuple[str, ...]:
    """Name the fields of a command that hold ids. Its answer has the same ones."""
    hints = typing.get_type_hints(command_type)
    return tuple(name for name, hint in hints.items() if hint in (UUID, UUID | None))


def utc_now() -> datetime:
    return datetime.now(UTC)


def _registered(
    cls: M | None, registry: dict[str, type], who: Who, dated: bool = False
) -> M | Callable[[M], M]:
    """Register the class, or return the decorator that does."""
    if isinstance(who, str) and "." not in who:
        raise RegistrationError(f"who={who!r}: the permission's app comes first: 'orders.{who}'.")

    def register(cls: M) -> M:
        _WHO[_register(cls, registry, cls.__name__)] = who
        if dated:
            _DATED.add(cls)
        return cls

    return register if cls is None else register(cls)


def _register(cls: M, registry: dict[str, type], name: str) -> M:
    _require_message(cls)
    if name in registry:
        raise RegistrationError(
            f"{name} is registered twice: {registry[name].__module__} and {cls.__module__}."
        )
    registry[name] = cls
    return cls


def _require_message(cls: type) -> None:
    params: Any = getattr(cls, "__dataclass_params__", None)
    if not is_dataclass(cls) or not params.frozen or "__slots__" not in vars(cls):
        raise RegistrationError(
            f"{cls.__name__}: a message is a @dataclass(frozen=True, slots=True, kw_only=True), "
            "with Postlog's decorator outermost."
        )
    if not all(field.kw_only for field in fields(cls)):
        raise RegistrationError(f"{cls.__name__}: add kw_only=True to its @dataclass.")
