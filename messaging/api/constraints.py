"""What the OpenAPI document says of a command's fields beyond what their serializers know."""

import dataclasses
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
    for message in (*COMMANDS.values(), RestoreReadDb):
        schema = schemas.get(message.__name__)
        if schema is None or "properties" not in schema:  # it has no fields
            continue
        schema["additionalProperties"] = False
        for field in dataclasses.fields(message):
            schema["properties"][field.name] |= field.metadata.get("schema", {})
    projection = schemas[RestoreReadDb.__name__]["properties"]["projection"]
    projection["enum"] = [*sorted(PROJECTIONS), None]
    return result
