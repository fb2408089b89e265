"""What there is to send and to ask, for who looks at the API with a browser: a line each, who may,
and a curl that works when it is pasted."""

import json
import shlex
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from messaging.access import anyone, sentence
from messaging.api import examples
from messaging.api.openapi import summary
from messaging.message import EVENTS, id_fields, naming_of, who_may
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving.live import live

JSON = "Content-Type: application/json"
YOU = "YOUR_NAME"


class Entry(NamedTuple):
    name: str
    url: str  # of a query with an example of what it asks for, so that a browser is shown an answer
    line: str
    who: str
    curl: str


class Section(NamedTuple):
    title: str
    note: str
    entries: list[Entry]


class Document(NamedTuple):
    name: str  # of its URL
    line: str

    @property
    def url(self) -> str:
        return reverse(self.name)


DOCUMENTS = [
    Document("docs", "try everything out in Swagger UI"),
    Document("schema", "the OpenAPI document, for generators of clients"),
    Document("events", "what the log holds, for who reads it"),
    Document("errors", "what each error code means, and what to do"),
]


def documents() -> list[Document]:
    """Those that the project has."""
    return [one for one in DOCUMENTS if _is_there(one.name)]


def command_entry(request: HttpRequest, name: str, command_type: type) -> Entry:
    url, body = _absolute(request, f"commands-{name}"), _sent(command_type)
    return Entry(
        name, url, summary(command_type), sentence(who_may(command_type)),
        _curl(request, url, who_may(command_type) is not anyone, body),
    )  # fmt: skip


def query_entry(request: HttpRequest, name: str, query_type: type) -> Entry:
    url, parameters = _absolute(request, f"queries-{name}"), _sent(query_type)
    asked = f"{url}?{urlencode(parameters)}" if parameters else url
    signed_in = who_may(query_type) is not anyone
    return Entry(
        name, asked, summary(query_type), sentence(who_may(query_type)),
        _curl(request, asked, signed_in),
    )  # fmt: skip


def operation_entry(request: HttpRequest, name: str, documented: Any, who: str) -> Entry:
    url = _absolute(request, name)
    kebab = name.partition("-")[2]
    return Entry(kebab, url, summary(documented), who, _curl(request, url, True, {}))


def _absolute(request: HttpRequest, name: str) -> str:
    return request.build_absolute_uri(reverse(name))


def _curl(request: HttpRequest, url: str, signs_in: bool, body: Any = None) -> str:
    """Basic authentication, for which curl asks the password: a token is made by another call."""
    words = ["curl"]
    if signs_in:
        words += ["-u", request.user.get_username() or YOU]
    if body is not None:
        words += ["-H", JSON, "-d", json.dumps(body)]
    return shlex.join([*words, url])


def _sent(message_type: type) -> dict[str, Any]:
    """An example, with ids of things that there are."""
    found = examples.sent(message_type)
    for name in found.keys() & set(id_fields(message_type)):
        if real := _newest_id(name):
            found[name] = real
    return found


def _newest_id(field: str) -> str:
    """The id of the newest stream that events name by such a field, or nothing."""
    streams = {naming_of(one).stream for one in EVENTS.values() if naming_of(one).id_field == field}
    for projection in PROJECTIONS.values():
        if streams & set(projection.stream_types) and not projection.single_owner:
            roots = live(projection, projection.root).order_by("-stream_id")
            try:
                if found := roots.values_list("stream_id", flat=True).first():
                    return str(found)
            except (DatabaseError, InterfaceError):  # the page explains the API all the same
                return ""
    return ""


def _is_there(name: str) -> bool:
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False
