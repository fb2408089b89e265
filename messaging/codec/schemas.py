"""JSON Schemas of the payloads."""

from typing import Any

import msgspec

from messaging.message import EVENTS


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (2020-12) of every event's payload, by wire name."""
    return {name: msgspec.json.schema(cls) for name, cls in EVENTS.items()}
