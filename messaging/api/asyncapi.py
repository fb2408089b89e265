"""The events as whoever reads the log finds them: an AsyncAPI 3 document, and JSON Schemas."""

from typing import Any

import msgspec
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import conditional_page, require_safe

from messaging import codec, conf
from messaging.api.answers import error_answer
from messaging.message import EVENTS, OWN

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


@require_safe
@conditional_page
def asyncapi(request: HttpRequest) -> JsonResponse:
    """All events."""
    return JsonResponse(document())


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
