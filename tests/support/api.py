"""A client of the HTTP API, in this process. A fault of the server is a 500, as for others."""

import json
from typing import Any
from uuid import uuid4

from django.test import Client
from knox.models import AuthToken

from accounts.models import User

COMMANDS, QUERIES = "/api/v1/commands", "/api/v1/queries"
FORM = "application/x-www-form-urlencoded"
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"  # as browsers say it


class Api:
    """Signed in by token as `username`, or as nobody."""

    def __init__(self, username: str | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers: dict[str, str] = {}
        if username is not None:
            token = AuthToken.objects.create(person(username))[1]
            self.headers["Authorization"] = f"Token {token}"

    def send(self, command: str, **fields: Any) -> Any:
        return self.post(f"{COMMANDS}/{command}/", json.dumps(fields))

    def ask(self, query: str, *, headers: dict[str, str] | None = None, **params: Any) -> Any:
        headers = {**self.headers, **(headers or {})}
        return self.client.get(f"{QUERIES}/{query}/", params, headers=headers)

    def post(
        self,
        path: str,
        body: str | bytes,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        raw = body if isinstance(body, bytes) else body.encode()
        headers = {**self.headers, "Accept": accept}
        return self.client.generic("POST", path, raw, content_type, headers=headers)


def person(username: str) -> User:
    return User.objects.get_or_create(username=username)[0]


def browser(username: str) -> Client:
    """Signed in by session; CSRF is enforced, as it is for browsers."""
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.force_login(person(username))
    return client


def errors(response: Any) -> list[tuple[str, str | None]]:
    """The code and the attr of every error, after a look at the form of the answer."""
    answer = response.json()
    assert set(answer) == {"type", "errors"}
    assert all(set(error) == {"code", "detail", "attr"} for error in answer["errors"])
    return [(error["code"], error["attr"]) for error in answer["errors"]]


def some_id() -> str:
    return str(uuid4())
