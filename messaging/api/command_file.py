"""Files of commands, a JSON object a line, as `sendcommands` takes them.

    {"command": "AddLine", "actor": "bob", "order": "any-id", "item": "tea", "quantity": 2}

A field `<name>_id` of the command is called `<name>` here: `order` for `order_id`. An id may be any
text: what is no UUID becomes a UUIDv5. `at` says when it was written, for a command that keeps it
(`dated`). Other keys that the command does not have are ignored. All else is read as the API reads
it.
"""

import hashlib
import json
import typing
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from messaging.api import strict_json
from messaging.api.file_ids import NAMESPACE, id_of, uuid_of
from messaging.exceptions import Invalid
from messaging.message import COMMANDS, is_dated, utc_now

AT = "at"
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # before it: a clock or a column that was never set
AHEAD = timedelta(minutes=5)  # clocks differ
BROKEN = (msgspec.MsgspecError, OverflowError, ValueError)


class Line(NamedTuple):
    number: int  # from 1
    raw: bytes
    command_id: UUID


class Request(NamedTuple):
    actor: str
    command: Any
    at: datetime | None = None  # UTC


def lines(raw: Iterable[bytes]) -> Iterator[Line]:
    """The lines that are not blank. A line's command id is made from the whole line and
    from which occurrence of it in the file this is, so the same file sends the same ids."""
    seen: Counter[bytes] = Counter()
    for number, line in enumerate(raw, 1):
        line = line.rstrip(b"\r\n")
        if not line.strip():
            continue
        digest = hashlib.sha256(line).digest()
        seen[digest] += 1
        command_id = uuid5(NAMESPACE, f"{digest.hex()}/{seen[digest]}")
        yield Line(number, line, command_id)


def parse(line: Line) -> Request:
    """The command of a line. Raises `Invalid` that says what is wrong with it."""
    from messaging.api.serializers import read  # of the extra [api]

    try:
        found = strict_json.loads(line.raw.decode())
    except UnicodeDecodeError:
        raise Invalid("invalid_line", "The line is not valid UTF-8.") from None
    except ValueError as error:
        raise Invalid("invalid_line", f"This is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise Invalid("invalid_line", "A line is a JSON object.")
    name, actor = found.get("command"), found.get("actor")
    if not isinstance(name, str) or name not in COMMANDS:
        raise Invalid("unknown_command", f"There is no such command; known: {', '.join(COMMANDS)}.")
    if not isinstance(actor, str):
        raise Invalid("invalid_actor", 'The line has no "actor".')
    values = {}
    for field in _fields(COMMANDS[name]):
        if field.key in found and not (found[field.key] is None and field.optional):
            value = found[field.key]
            values[field.name] = _id(field, value) if field.is_id else value
        elif not field.optional:
            raise Invalid("required", f'{name} needs "{field.key}".', field.name)
    at = _at(found.get(AT)) if is_dated(COMMANDS[name]) else None
    try:
        return Request(actor, read(COMMANDS[name], values), at)
    except Invalid as refused:
        where, dot, within = (refused.attr or "").partition(".")
        key = next((f.key for f in _fields(COMMANDS[name]) if f.name == where), where)
        detail = f'"{key}{dot}{within}": {refused.detail}'
        raise Invalid(refused.code, detail, refused.attr) from None


def ignored(line: Line) -> list[str]:
    """Name the keys of a line that was sent which its command does not have: "at of AddLine"."""
    try:
        found = msgspec.json.decode(line.raw, type=dict[str, msgspec.Raw])
        name = msgspec.json.decode(found["command"], type=str)
    except BROKEN:  # a key is no Unicode
        return []
    return [f"{key} of {name}" for key in found.keys() - _known(name)]


def names(line: Line, also: Collection[str] = ()) -> set[str]:
    """What the line names: its command's ids, every other UUID in it, at any depth, and the values
    of the keys `also`, whatever their case. Lines that name the same thing depend on each other.

    Nothing for a line that is no command: it is refused, whatever came before.
    """
    try:
        found = json.loads(line.raw)  # takes all that `parse` takes
        name = found.get("command") if isinstance(found, dict) else None
        if not isinstance(name, str) or name not in COMMANDS:
            return set()
        ids = [found.get(field.key) for field in _fields(COMMANDS[name]) if field.is_id]
        named = {str(id_of(text)) for text in ids if isinstance(text, str)}
        return named.union(_named_within(found, also))
    except (ValueError, RecursionError):
        return set()


def _named_within(found: Any, also: Collection[str]) -> Iterator[str]:
    left = [("", found)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += value.items()
        elif isinstance(value, list):
            left += [(key, one) for one in value]
        else:
            if key in also:
                yield f"{key}={value}".casefold()
            if isinstance(value, str) and (one := uuid_of(value)):
                yield str(one)


def keys(command: str) -> list[str]:
    """The fields of a command as they stand in a line, those that may be missing in brackets."""
    at = ["[at]"] if is_dated(COMMANDS[command]) else []
    return [f"[{f.key}]" if f.optional else f.key for f in _fields(COMMANDS[command])] + at


class _Field(NamedTuple):
    name: str
    key: str  # in a line
    is_id: bool
    optional: bool


@cache
def _fields(command_type: type) -> list[_Field]:
    hints = typing.get_type_hints(command_type)
    return [
        _Field(
            field.name,
            field.name.removesuffix("_id"),
            hints[field.name] in (UUID, UUID | None),
            (field.default, field.default_factory) != (MISSING, MISSING),
        )
        for field in fields(command_type)
    ]


@cache
def _known(command: str) -> frozenset[str]:
    kept = {AT} if is_dated(COMMANDS[command]) else set()
    return frozenset({"command", "actor", *kept, *(f.key for f in _fields(COMMANDS[command]))})


def _at(given: Any) -> datetime | None:
    """When it was written. What cannot be is refused: an event would say it for ever."""
    if given is None:
        return None
    try:
        at = msgspec.convert(given, Moment).astimezone(UTC)
    except BROKEN:
        why = "takes a time with its zone, such as 2005-04-07T15:13:13-07:00"
        raise Invalid("invalid", f'"at" {why}.', AT) from None
    if at > utc_now() + AHEAD:
        raise Invalid("invalid", f'"at" is in the future: {at:%Y-%m-%d %H:%M} UTC.', AT)
    if at < EARLIEST:
        why = f"is before {EARLIEST:%Y-%m-%d}, as of a clock that was never set"
        raise Invalid("invalid", f'"at" {why}: leave it out.', AT)
    return at


def _id(field: _Field, text: Any) -> str:
    if not isinstance(text, str):
        raise Invalid("invalid", f'"{field.key}" has to be a string.', field.name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid("invalid", f'"{field.key}" is not valid Unicode.', field.name) from None
    return str(id_of(text))
