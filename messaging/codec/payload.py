"""The payload of an event: JSON, checked against its types when it is written and when it is
read."""

import copy
import typing
from dataclasses import fields, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from messaging.codec import upcasting
from messaging.exceptions import DecodeError, UnknownMessage, WrongPayload
from messaging.message import EVENTS, OWN_EVENTS, Envelope, wire_name_of

Payload = str | bytes | msgspec.Raw

_encoder = msgspec.json.Encoder()

IMMUTABLE = (
    str, int, float, bytes, datetime, date, time, timedelta, Decimal, UUID, Enum, NoneType,
)  # fmt: skip
# What msgspec raises for bytes that are not what they should be; the third for deep nesting.
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


CLASS_CHANGED = (
    "If its class has changed: put the fields back as they were, or give the new shape a version "
    "of its own, with an upcaster from this one. Consumers with that code try again by themselves."
)
UPCASTER_WRONG = (
    "If the data are right: correct the upcaster, restart the consumers, and run `manage.py "
    "deadletters retry --all`."
)


class RecordedEvent(NamedTuple):
    """An event with what is known of it."""

    envelope: Envelope
    event: Any  # an instance of a class registered with @event


def encode_event(event: object) -> tuple[str, str]:
    """The wire name and the JSON of an event.

    Raises `WrongPayload` unless reading the JSON gives an equal event: msgspec writes a value of
    the wrong type without a word, and an event that nobody can read stays in the store forever.
    """
    wire_name = wire_name_of(type(event))
    try:
        data = _encoder.encode(_without_none(event))
        read = _event_decoder(wire_name).decode(data)
    except (*BROKEN, ValueError, TypeError) as error:
        raise WrongPayload(f"{wire_name} is not stored: {error}. Event: {event!r:.500}") from error
    if read != event:
        raise WrongPayload(f"{wire_name} is not stored: it would be read as {read!r:.500}")
    return wire_name, data.decode()


def _without_none(event: Any) -> Any:
    """The event without fields that are None by default: where it says nothing, a field that was
    added later leaves the event as it was before."""
    event_type: type = type(event)
    silent = [name for name in _optional(event_type) if getattr(event, name) is None]
    if not silent:
        return event
    return {f.name: getattr(event, f.name) for f in fields(event) if f.name not in silent}


@cache
def _optional(event_type: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(event_type) if field.default is None)


def decode_event(wire_name: str, data: Payload) -> Any:
    """The event of a payload, lifted to the version that the code knows.

    Raises `UnknownMessage` for a type that nobody registered, `DecodeError` for a
    payload that is not of its type.
    """
    try:
        if upcasting.has_upcaster(wire_name):
            return _lift(wire_name, msgspec.json.decode(data))
        return _event_decoder(wire_name).decode(data)
    except msgspec.ValidationError as error:
        raise DecodeError(f"{wire_name}: {error}", CLASS_CHANGED) from error
    except BROKEN as error:
        raise DecodeError(f"{wire_name}: {error}") from error


def _lift(wire_name: str, data: Any) -> Any:
    try:
        newest, lifted = upcasting.lift(wire_name, data)
    except Exception as error:  # the project's code, and data that may be anything
        fault = f"{wire_name}: an upcaster fails at it, {type(error).__name__}: {error}"
        raise DecodeError(fault, UPCASTER_WRONG) from error
    try:
        return msgspec.convert(lifted, _event_class(newest), strict=True)
    except msgspec.ValidationError as error:
        fault = f"{wire_name}, lifted to {newest}: {error}"
        raise DecodeError(fault, UPCASTER_WRONG) from error


@cache
def _event_decoder(wire_name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_event_class(wire_name), strict=True)


def _event_class(wire_name: str) -> type:
    try:
        return EVENTS.get(wire_name) or OWN_EVENTS[wire_name]
    except KeyError:
        raise UnknownMessage(f"No event is registered as {wire_name!r}.") from None


def own_copy(event: Any) -> Any:
    """The event for a function that may keep or change what it holds, such as a list: it is read
    once for all projections of a process, and again where a batch begins again."""
    event_type: type = type(event)
    names = _mutable(event_type)
    if not names:
        return event
    return replace(event, **{name: copy.deepcopy(getattr(event, name)) for name in names})


@cache
def _mutable(event_type: Any) -> tuple[str, ...]:
    """The fields whose values can be changed."""
    hints = typing.get_type_hints(event_type)
    return tuple(name for name, hint in hints.items() if not _is_immutable(hint))


def _is_immutable(hint: Any, *outer: Any) -> bool:
    """`outer`: the types that it is a part of, which may be itself."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _is_immutable(parts[0], *outer)
    if origin in (tuple, frozenset, typing.Union, UnionType):
        return all(_is_immutable(one, *outer) for one in parts if one is not ...)
    if origin is typing.Literal or hint in outer:
        return True
    if (params := getattr(hint, "__dataclass_params__", None)) is not None:
        within = typing.get_type_hints(hint).values()
        return params.frozen and all(_is_immutable(one, hint, *outer) for one in within)
    return isinstance(hint, type) and issubclass(hint, IMMUTABLE)
