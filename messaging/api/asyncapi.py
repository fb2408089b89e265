"""The events as whoever reads the log finds them: an AsyncAPI 3 document, and JSON Schemas."""

import json
import shlex
from inspect import getdoc
from typing import Any, NamedTuple

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import conditional_page, require_safe

from messaging import codec, conf
from messaging.api.answers import error_answer
from messaging.message import EVENTS, OWN, naming_of

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"
CONTENT_TYPE = "application/cloudevents+json"
UUID = {"type": "string", "format": "uuid"}
ENVELOPE: dict[str, Any] = {
    "specversion": {"const": "1.0"},
    "id": {**UUID, "description": "Of the event. A UUIDv7, made once."},
    "source": {"type": "string", "description": "The type of the stream, behind a slash."},
    "type": {"type": "string", "description": "The name and version of the event."},
    "subject": {**UUID, "description": "The stream, which is also the record's key."},
    "time": {"type": "string", "format": "date-time"},
    "datacontenttype": {"const": "application/json"},
    "streamtype": {"type": "string"},
    "streamversion": {
        "type": "integer",
        "minimum": 1,
        "description": "Dense in each stream. Drop what is not newer than what you have: a record "
        "may come more than once.",
    },
    "actor": {"type": "string", "description": "The username of who did it."},
    "commandid": UUID,
    "correlationid": UUID,
    "causationid": {"anyOf": [UUID, {"type": "null"}]},
    "traceparent": {"type": "string", "description": "W3C Trace Context, or empty."},
}
OPTIONAL = {"causationid", "traceparent", "datacontenttype"}


class Fields(NamedTuple):
    """A table of the page."""

    rows: list[tuple[str, str, str]]  # name, type, description

    @property
    def described(self) -> bool:
        return any(description for *_, description in self.rows)


class Shown(NamedTuple):
    """An event on the page."""

    name: str
    line: str
    stream: str
    url: str  # of its JSON Schema
    fields: Fields


@require_safe
@conditional_page
def asyncapi(request: HttpRequest) -> HttpResponse:
    """All events: the document, or a page for who asks for HTML rather than for JSON."""
    wanted = request.get_preferred_type(["application/json", "text/html"])
    answer = page(request) if wanted == "text/html" else JsonResponse(document())
    patch_vary_headers(answer, ["Accept"])
    return answer


def page(request: HttpRequest) -> HttpResponse:
    """A section for each event: when it is written, and what its fields hold."""
    events = [_shown(name) for name in EVENTS]
    where = request.build_absolute_uri()
    context = {
        "name": "Events",
        "breadcrumblist": [("Postlog", reverse("api-root")), ("Events", request.path)],
        "topic": conf.postlog().kafka.topic,
        "own": OWN,
        "events": events,
        "envelope": Fields([(name, *_described(schema)) for name, schema in ENVELOPE.items()]),
        "curl": shlex.join(["curl", where]),
    }
    return render(request, "messaging/api/events.html", context)


def _shown(name: str) -> Shown:
    event = EVENTS[name]
    schema = codec.json_schemas()[name]
    fields = _resolved(schema, schema).get("properties", {})
    return Shown(
        name=name,
        line=" ".join((getdoc(event) or "").split()),
        stream=naming_of(event).stream,
        url=reverse("event", args=[name]),
        fields=Fields(
            [(field, *_described(_resolved(one, schema))) for field, one in fields.items()]
        ),
    )


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = whole.get("$defs", {})[schema["$ref"].rpartition("/")[2]]
    return found


def _described(schema: dict[str, Any]) -> tuple[str, str]:
    """The type in few words, and the description."""
    options = schema.get("anyOf", [schema])
    words = [o.get("format") or o.get("type") or json.dumps(o.get("const")) for o in options]
    return " or ".join(map(str, words)), schema.get("description", "")


@require_safe
@conditional_page
def event_schema(request: HttpRequest, name: str) -> JsonResponse:
    """The JSON Schema of one event's payload."""
    schema = codec.json_schemas().get(name)
    if schema is None:
        return error_answer(404, "not_found", "There is no such event.")
    where = request.build_absolute_uri(reverse("event", args=[name]))
    return JsonResponse({"$schema": SCHEMA_ID, "$id": where, **schema})


def document() -> dict[str, Any]:
    """AsyncAPI 3.0: one channel, one message an event, in the form of CloudEvents 1.0."""
    names = list(EVENTS)
    _, schemas = msgspec.json.schema_components(
        EVENTS.values(), ref_template=_to("schemas", "{name}")
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Postlog events",
            "version": "1",
            "description": "Every change is one of these events: on Kafka a CloudEvents document "
            "in structured mode, with the stream's id as its key. The records of one stream are "
            "in one partition and in the order of streamversion. Records of a streamtype that "
            f"begins with {OWN} are bookkeeping, and may change: pass over them.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": {
                "address": conf.postlog().kafka.topic,
                "messages": {name: {"$ref": _to("messages", name)} for name in names},
            }
        },
        "operations": {
            "consume": {
                "action": "send",
                "summary": "What Postlog's relay publishes.",
                "channel": {"$ref": "#/channels/events"},
            }
        },
        "components": {
            "messages": {name: _message(name) for name in names},
            "schemas": schemas,
        },
    }


def _message(name: str) -> dict[str, Any]:
    event = EVENTS[name]
    required = [field for field in ENVELOPE if field not in OPTIONAL]
    return {
        "name": name,
        "title": event.__name__,
        "summary": event.__doc__,
        "contentType": CONTENT_TYPE,
        "payload": {
            "type": "object",
            "required": [*required, "data"],
            "properties": {
                **ENVELOPE,
                "type": {"const": name},
                "data": {"$ref": _to("schemas", event.__name__)},
            },
        },
        "bindings": {"kafka": {"key": UUID}},
    }


def _to(kind: str, name: str) -> str:
    return f"#/components/{kind}/{name}"
