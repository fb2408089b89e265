"""What the OpenAPI document says of a command's fields beyond what their serializers know."""

import dataclasses
from inspect import getdoc
from typing import Any

from messaging.api.component_names import component_name, dataclasses_in
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
    for cls in {cls for command in commands for cls in dataclasses_in(command)}:
        schema = schemas[component_name(cls)]
        schema |= {"additionalProperties": False, "description": getdoc(cls) or ""}
        for field in dataclasses.fields(cls):
            schema["properties"][field.name] |= field.metadata.get("schema", {})
    projection = schemas[RestoreReadDb.__name__]["properties"]["projection"]
    projection["enum"] = [*sorted(PROJECTIONS), None]
    return result
