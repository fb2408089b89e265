"""Can this code read what a release of it has stored? Schemas of then, compared with those of now.

What changes how a stored event reads, or which consumers can read a new one, needs a new version of
the event and an upcaster.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from messaging.codec.schemas import json_schemas
from messaging.codec.upcasting import newest_of, upcast_types
from messaging.exceptions import PostlogError
from messaging.message import EVENTS, naming_of

Schema = dict[str, Any]
WORDS = ("title", "description")  # of a class: it may be renamed


class EventSchemas(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a release can read."""

    events: dict[str, "EventSchema"]  # by wire name
    lifted: dict[str, str]  # old wire names, and to which one each is lifted


class EventSchema(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    stream: str
    payload: Schema


class NoSchemas(PostlogError):
    """A file is not what `manage.py events schema` writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of an event."""

    wire_name: str
    what: str
    hint: str = ""  # what to do; empty: nothing

    @property
    def is_breaking(self) -> bool:
        return bool(self.hint)


def current_schemas() -> EventSchemas:
    """The events that are registered now."""
    events = {
        name: EventSchema(stream=naming_of(EVENTS[name]).stream, payload=schema)
        for name, schema in sorted(json_schemas().items())
    }
    return EventSchemas(events=events, lifted={name: newest_of(name) for name in upcast_types()})


def encode_schemas(schemas: EventSchemas) -> str:
    """As a file that differs from release to release in what has changed alone."""
    return json.dumps(msgspec.to_builtins(schemas), indent=1, sort_keys=True)


def decode_schemas(text: bytes) -> EventSchemas:
    """Raises `NoSchemas`."""
    try:
        return msgspec.json.decode(text, type=EventSchemas)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoSchemas(str(error)) from error


def changes_since(then: EventSchemas) -> list[Change]:
    """What has changed since a release, by wire name; its breaking changes have a hint."""
    now = current_schemas()
    found = [one for name, old in then.events.items() for one in _changes(name, old, now)]
    found += [
        Change(
            wire_name=name,
            what="can no longer be read: its upcaster is gone",
            hint=f"Events of this version are stored for ever: bring @upcaster({name!r}, ...) back",
        )
        for name in then.lifted
        if newest_of(name) not in now.events
    ]
    known = {*then.events, *then.lifted}
    found += [Change(wire_name=name, what="is new") for name in now.events if name not in known]
    return sorted(found, key=lambda one: one.wire_name)


def _changes(name: str, old: EventSchema, now: EventSchemas) -> Iterator[Change]:
    newest = newest_of(name)
    new = now.events.get(newest)
    if new is None:
        yield Change(
            wire_name=name,
            what="is not registered any more, and stored events of it could not be read",
            hint="Register its class again, or an upcaster to the event that replaces it",
        )
        return
    if new.stream != old.stream:
        yield Change(
            wire_name=name,
            what=f"was of the stream type {old.stream!r} and is of {new.stream!r}",
            hint=f"Leave stream={old.stream!r}: stored events stay in their streams. What happens "
            "to something else is another event",
        )
    if newest != name:
        yield Change(wire_name=name, what=f"is lifted to {newest}")
        return
    for what, breaks in _differences(_resolved(old.payload), _resolved(new.payload), ""):
        base, _, version = name.rpartition(".v")
        hint = f"Leave {name} as it was, and add {base}.v{int(version) + 1} with an upcaster"
        yield Change(wire_name=name, what=what, hint=hint if breaks else "")


def _differences(old: Any, new: Any, where: str) -> Iterator[tuple[str, bool]]:
    """What differs between two schemas at a place in the payload, and whether that breaks."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{where or 'it'} was {_shown(old)} and is {_shown(new)}", True
        return
    if "properties" in old and "properties" in new:
        yield from _differences_of_fields(old, new, where)
        return
    inner = [key for key in ("items", "additionalProperties") if key in old and key in new]
    lists = [key for key in ("anyOf", "prefixItems") if key in old and key in new]
    apart = {*inner, *(key for key in lists if len(old[key]) == len(new[key]))}
    if {**old, **dict.fromkeys(apart)} != {**new, **dict.fromkeys(apart)}:
        yield f"{where or 'it'} was {_shown(old)} and is {_shown(new)}", True
        return
    for key in apart:
        pairs = [(old[key], new[key])] if key in inner else zip(old[key], new[key], strict=True)
        for one, other in pairs:
            yield from _differences(one, other, f"{where}[]" if key in inner else where)


def _differences_of_fields(old: Schema, new: Schema, where: str) -> Iterator[tuple[str, bool]]:
    was, is_now = old["properties"], new["properties"]
    for name in [*was, *(name for name in is_now if name not in was)]:
        at = f"{where}.{name}" if where else name
        if name not in is_now:
            yield f"the field {at} was removed", True
        elif name not in was:
            required = name in new.get("required", ())
            yield f"the field {at} was added with{'out' * required} a default", required
        else:
            before, after = dict(was[name]), dict(is_now[name])
            defaults = before.pop("default", ...), after.pop("default", ...)
            optional = [name not in schema.get("required", ()) for schema in (old, new)]
            if optional == [True, False]:
                yield f"the field {at} has no default any more", True
            elif optional == [False, True]:
                yield f"the field {at} has a default now", False
            elif defaults[0] != defaults[1]:
                yield f"the default of the field {at} was changed", True
            yield from _differences(before, after, at)


def _resolved(schema: Schema) -> Any:
    """A schema in which each reference is what it leads to, and classes have no names."""
    return _inlined(schema, schema.get("$defs", {}), ())


def _inlined(schema: Any, classes: Schema, inside: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, classes, inside) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in inside:
            return {"class": f"{len(inside) - inside.index(name)} levels up"}
        found = {**classes.get(name, {}), **schema}
        return _inlined({k: v for k, v in found.items() if k != "$ref"}, classes, (*inside, name))
    fields = schema.get("properties")
    shown = {
        key: _inlined(value, classes, inside)
        for key, value in schema.items()
        if key not in (*WORDS, "$defs", "properties")
    }
    if fields is not None:  # by names of the payload, which may be those of a schema's keys
        shown["properties"] = {k: _inlined(v, classes, inside) for k, v in fields.items()}
    return shown


def _shown(schema: Any) -> str:
    """Short, for a message: `string (uuid)`, `integer or null`."""
    if not isinstance(schema, dict):
        return json.dumps(schema)
    if "anyOf" in schema:
        return " or ".join(map(_shown, schema["anyOf"]))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type", "any")
    if kind == "array" and "items" in schema:
        return f"list of {_shown(schema['items'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)
