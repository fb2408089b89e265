"""What the OpenAPI document says of a command's fields beyond what their serializers know."""

import dataclasses
import typing
from collections.abc import Iterator
from inspect import getdoc
from typing import Any

from messaging.api.operations import RestoreReadDb
from messaging.message import COMMANDS
from messaging.projections.registry import PROJECTIONS


def add_domain_constraints(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Add what fields take by the domain's rules (`metadata={"schema": ...}`), and that others are
    refused. A hook of drf-spectacular's."""
    schemas = result["components"]["schemas"]
    # A command that the API cannot offer has no schema, nor one without fields.
    commands = [one for one in (*COMMANDS.values(), RestoreReadDb) if one.__name__ in schemas]
    for cls in {cls for command in commands for cls in _dataclasses_in(command)}:
        schema = schemas[cls.__name__]
        schema |= {"additionalProperties": False, "description": getdoc(cls) or ""}
        for field in dataclasses.fields(cls):
            schema["properties"][field.name] |= field.metadata.get("schema", {})
    projection = schemas[RestoreReadDb.__name__]["properties"]["projection"]
    projection["enum"] = [*sorted(PROJECTIONS), None]
    return result


def _dataclasses_in(hint: Any) -> Iterator[type]:
    """A message itself, and those of its fields, at whatever depth."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
        for within in typing.get_type_hints(hint).values():
            yield from _dataclasses_in(within)
    for argument in typing.get_args(hint):
        yield from _dataclasses_in(argument)
