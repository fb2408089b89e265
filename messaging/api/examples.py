"""Examples for the OpenAPI document, made from the dataclasses.

A field says its own with `metadata={"example": ...}`; else its type and name do.
"""

import dataclasses
import types
import typing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from messaging.message import id_fields
from messaging.projections.serving.paging import Page

OF_TYPE: dict[type, Any] = {
    UUID: "01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f",
    datetime: datetime(2026, 1, 31, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
    int: 1,
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
    """Of what a query's handler is annotated to return."""
    if typing.get_origin(returned) is Page:
        (item,) = typing.get_args(returned)
        return {"next": None, "previous": None, "results": [_object(item)]}
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
    if isinstance(hint, types.UnionType):
        return _of_type(name, typing.get_args(hint)[0])
    if typing.get_origin(hint) is list:
        return [_of_type(name, typing.get_args(hint)[0])]
    if dataclasses.is_dataclass(hint):
        return _object(hint)  # type: ignore[arg-type]  # a class, not an instance
    return OF_TYPE.get(hint, name)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
