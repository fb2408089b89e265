"""Nothing that a client sends is a fault of the server: every address that the URLconf knows,
with rubbish in each place of a request, on both databases. A new page is covered by itself."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from commands_app.commands import AddComment, NewPost
from messaging import mediator
from messaging.eventstore.models import Stream
from messaging.message import COMMANDS, QUERIES, Context
from messaging.monitoring import health
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving import own_changes
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all

# As they stand in an address: NUL, no UTF-8, a surrogate, Django's admin's NUL, a long one, ...
RUBBISH = ["%00", "a%00b", "%ff", "%ed%a0%80", "_00", "x" * 3_000, "-1", "9" * 30, "%0d%0aA:b"]
NULLS = ["_00", "%00", "%ff"]
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>|\(\?P<(\w+)>[^()]*\)")
FIELDS = {
    "text": "A text", "form": "f", "original": "1", "next": "/", "username": "zoe",
    "password": "p", "password1": "long enough a phrase", "password2": "long enough a phrase",
    "old_password": "p", "new_password1": "long enough a phrase",
    "new_password2": "long enough a phrase", "token": "t", "projection": "posts",
    "kept-text": "A text", "kept-original": "1", "action": "delete_selected",
    "_selected_action": "1", "first_name": "Zoe", "email": "a@b.example", "post": "yes",
}  # fmt: skip
ADMINS = ["q", "p", "o", "all", "e", "id__exact", "_changelist_filters", "_to_field", "term"]
PAGES = ["cursor", "at", "next", "nothing"]
NAMES = [
    "Authorization", "Consistency-Token", "Idempotency-Key", "If-Match", "If-None-Match", "Accept",
    "Accept-Language", "Accept-Encoding", "Content-Type", "Content-Length", "Origin", "Referer",
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-CSRFToken", "Range", "Host",
    "HX-Request", "HX-Target", "HX-Current-URL", "If-Modified-Since", "Cookie",
]  # fmt: skip
HEADERS = [
    *((name, '\0\xff\xfe,;="') for name in NAMES),
    ("Authorization", "Basic \xff"),
    ("Authorization", "Basic AAD/"),  # NUL, and no UTF-8
    ("Authorization", "Token \0"),
    ("Cookie", 'sessionid="\\000\\377"; csrftoken="\\000"; messages="\\000"'),
    ("Cookie", "sessionid=\0; csrftoken=\0; messages=\0"),
]
# Each by itself where the views differ in what they read; elsewhere all at once, but for those
# that an earlier layer refuses.
EACH_HEADER = {
    "/", "/posts/<uuid:post_id>/", "/accounts/login/", "/admin/", "/api/v1/docs/",
    "/api/v1/commands/like-post/", "/api/v1/queries/find-all-posts/", "/api/v1/auth/token/",
}  # fmt: skip
HARMLESS_FIRST = {n: v for n, v in HEADERS if n not in ("Host", "Authorization", "Cookie")}
BODIES = [
    ("application/json", b'{"text": "\\u0000", "message": "\\ud800", "projection": "\\u0000"}'),
    ("application/json", b"\xff\0"),
    ("application/json", b"[" * 100_000),
    ("application/x-www-form-urlencoded", b"text=%ff%00&%00=1&message=%00&next=%00&token=%ff"),
    ("application/x-www-form-urlencoded; charset=\xff", b"text=a"),
    ("application/x-www-form-urlencoded; charset=utf-7", b"text=a"),
    ("multipart/form-data", b"text"),
    ("multipart/form-data; boundary=\xff", b"--\xff\r\n"),
    ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="text\0"'
     b"\r\n\r\n\xff\0\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="text"; '
     b'filename="\0\xff"\r\n\r\n\xff\0\r\n--b--\r\n'),
    ("\xff/\0", b"\0"),
]  # fmt: skip


NOT_READY = "/health/ready"  # 503 is the truth here: no worker runs
# The admin's own code for another model: each is tried with an address only.
ALIKE = re.compile("/admin/(?!accounts/user)[a-z]+/[a-z]+/")


class Route(NamedTuple):
    """An address as the URLconf has it, with its parameters in angle brackets."""

    template: str

    def path(self, name: str = "", value: str = "") -> str:
        """With what is there in each place, but with `value` in one."""
        return PARAMETER.sub(
            lambda m: value if name and name in m.groups() else THERE.get(m[2] or m[3], "1"),
            self.template,
        )

    @property
    def parameters(self) -> list[str]:
        return [m[2] or m[3] for m in PARAMETER.finditer(self.template)]


THERE: dict[str, str] = {"username": "root", "name": "posts.post_created.v1", "rest": "nothing/"}


def routes(patterns: Any = None, before: str = "/") -> Iterator[Route]:
    """All of the project, the admin and the API included."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        here = before + str(one.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, here)
        elif isinstance(one, URLPattern):
            yield Route(here.replace("\\", "").removesuffix("?"))


# What middlewares answer is no view of the URLconf.
ROUTES = sorted(
    {*routes(), *map(Route, health.ADDRESSES), Route("/static/<name>"), Route("/<name>")}
)

UNALIKE = [route for route in ROUTES if not ALIKE.match(route.template)]


class Sent:
    """Sends, and keeps what was a fault of the server."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        self.root = User.objects.create_superuser("root", password="p")
        self.faults: list[tuple[int, str]] = []
        self.count = 0

    def begin(self, route: Route) -> None:
        """Signed in, and with what the address names, whatever the ones before have done."""
        session = self.client.cookies.get("sessionid", None)
        self.client.cookies.clear()
        if session is not None and Session.objects.filter(pk=session.value).exists():
            self.client.cookies["sessionid"] = session.value
        else:
            self.client.force_login(self.root)
        at = THERE.get("post_id")
        if "post_id" in route.parameters and (
            at is None or not Stream.objects.filter(pk=at, version=2).exists()
        ):
            context = Context(actor="root")
            post_id = mediator.send(NewPost(message="A"), context).stream_id
            added = mediator.send(AddComment(post_id=post_id, text="B"), context)
            THERE.update(post_id=str(post_id), comment_id=str(added.ids["comment_id"]))
            publish_all()
            for projection in PROJECTIONS.values():
                consume_all(projection)

    def __call__(
        self, method: str, path: str, query: str = "", body: bytes = b"", kind: str = "",
        headers: dict[str, str] | None = None,
    ) -> int:  # fmt: skip
        extra = {"headers": headers} if headers else {}
        answer = self.client.generic(
            method,
            path,
            body,
            kind,
            QUERY_STRING=query,
            **extra,  # type: ignore[arg-type]
        )
        self.count += 1
        if answer.status_code >= 500 and path != NOT_READY:
            self.faults.append((answer.status_code, f"{method} {path[:90]}?{query[:60]} {headers}"))
        return int(answer.status_code)


@pytest.fixture
def sent(database: Mode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    monkeypatch.setattr(own_changes, "missing_workers", lambda: ["manage.py runconsumer"])
    found = Sent()
    yield found
    assert found.count > len(UNALIKE), "it has sent something"
    assert found.faults == [], f"{len(found.faults)} of {found.count}"


def fields_of_the_api() -> list[str]:
    """The names of all parameters of commands and queries."""
    types = [*COMMANDS.values(), *QUERIES.values()]
    return sorted({name for one in types for name in one.__dataclass_fields__})  # type: ignore[attr-defined]


def test_the_routes_are_those_of_the_whole_project() -> None:
    found = {route.template for route in ROUTES}
    assert {"/", "/people/<str:username>/", "/posts/<uuid:post_id>/", "/accounts/login/"} <= found
    assert {"/api/v1/rebuilds/<int:pk>/", "/health/ready", "/admin/accounts/user/add/"} <= found
    assert "/admin/messaging/event/<path:object_id>/change/" in found


def test_rubbish_in_an_address_is_no_fault(sent: Sent) -> None:
    for route in ROUTES:
        sent.begin(route)
        for name in route.parameters:
            for value in RUBBISH if route in UNALIKE else NULLS:
                sent("GET", route.path(name, value))
            sent("POST", route.path(name, NULLS[0]))


def test_rubbish_in_a_query_string_is_no_fault(sent: Sent) -> None:
    for route in UNALIKE:
        sent.begin(route)
        api, admin = route.template.startswith("/api"), route.template.startswith("/admin")
        extra = [*fields_of_the_api(), "consistency_token", "format"] if api else ADMINS * admin
        for name in [*PAGES, *extra]:
            sent("GET", route.path(), f"{name}=a%00b")
        for value in ("%ff", "%ed%a0%80"):
            query = "&".join(f"{name}={value}" for name in [*PAGES, *extra])
            sent("GET", route.path(), query)
        sent("GET", route.path(), "%00=%00&%ff=%ff")


def test_rubbish_in_a_form_is_no_fault(sent: Sent) -> None:
    for route in UNALIKE:
        sent.begin(route)
        if route.template.startswith("/api") or post_form(sent, route, FIELDS) in (404, 405):
            continue
        for name in FIELDS:
            post_form(sent, route, {**FIELDS, name: b"a\0\xff"})


def post_form(sent: Sent, route: Route, fields: dict[str, Any]) -> int:
    kind = "application/x-www-form-urlencoded"
    return sent("POST", route.path(), "", urlencode(fields).encode(), kind)


def test_rubbish_in_a_body_is_no_fault(sent: Sent) -> None:
    for route in UNALIKE:
        sent.begin(route)
        for kind, body in BODIES:
            sent("POST", route.path(), "", body, kind)
        if route.template.startswith("/api"):
            for name in fields_of_the_api():
                body = json.dumps({name: "a\0b\ud800"}).encode()
                sent("POST", route.path(), "", body, "application/json")


def test_rubbish_in_a_header_or_cookie_is_no_fault(sent: Sent) -> None:
    for route in UNALIKE:
        sent.begin(route)
        one_by_one = HEADERS if route.template in EACH_HEADER else HEADERS[-5:]
        for name, value in one_by_one:
            sent("GET", route.path(), headers={name: value})
        for method in ("GET", "POST"):
            sent(method, route.path(), headers=HARMLESS_FIRST)
