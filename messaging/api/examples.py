"""Examples for the OpenAPI document, made from the dataclasses.

A field says its own with `metadata={"example": ...}`; else its type and name do.
"""

import dataclasses
import types
import typing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from messaging.message import id_fields
from messaging.projections.serving.paging import Page

OF_TYPE: dict[type, Any] = {
    UUID: "01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f",
    datetime: datetime(2026, 1, 31, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
    date: "2026-01-31",
    time: "12:30:00",
    timedelta: "1 12:30:00",
    Decimal: "9.90",
    int: 1,
    float: 1.5,
    bool: True,
}
TOKEN = "01a208927c3e7d419f563a1b2c4d5e6f.1:made-by-the-server"


def sent(message_type: type) -> dict[str, Any]:
    """What a client may send: the fields that have to be there."""
    fields = dataclasses.fields(message_type)
    return _object(message_type, [field for field in fields if _is_required(field)])


def command_answer(command_type: type) -> dict[str, Any]:
    ids = dict.fromkeys(id_fields(command_type), OF_TYPE[UUID])
    return {**ids, "version": 1, "consistency_token": TOKEN}


def query_answer(returned: Any) -> dict[str, Any]:
    """Of the type of a query's answers."""
    if typing.get_origin(returned) is Page:
        (item,) = typing.get_args(returned)
        return {"next": None, "previous": None, "results": [_object(item)]}
    if typing.get_origin(returned) is list:
        (returned,) = typing.get_args(returned)  # drf-spectacular makes a list of it
    return _object(returned)


def _object(
    cls: type, fields: typing.Sequence[dataclasses.Field[Any]] | None = None
) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    chosen = dataclasses.fields(cls) if fields is None else fields
    return {field.name: _value(field, hints[field.name]) for field in chosen}


def _value(field: dataclasses.Field[Any], hint: Any) -> Any:
    if "example" in field.metadata:
        return field.metadata["example"]
    return _of_type(field.name, hint)


def _of_type(name: str, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _of_type(name, arguments[0])
    if origin is typing.Literal:
        return arguments[0]
    if origin is dict:
        return {}
    if origin is not None:  # list[...], tuple[..., ...]
        return [_of_type(name, arguments[0])]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint)).value
    if dataclasses.is_dataclass(hint):
        return _object(hint)  # type: ignore[arg-type]  # a class, not an instance
    return OF_TYPE.get(hint, name)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
