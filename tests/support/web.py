"""A web server of a test's own, and requests to it."""

import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from knox.models import AuthToken

from dev.server import free_port
from messaging.testing.waiting import wait_until
from tests.support.api import person
from tests.support.processes import Worker

SERVER = [sys.executable, "-m", "granian", "--interface", "asginl", "--http", "1", "--no-ws",
          "config.asgi:application"]  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


def token_of(username: str) -> str:
    return str(AuthToken.objects.create(person(username))[1])


def status_of(url: str, timeout: float = 10, **headers: str) -> int | None:
    """Nothing where no server answers in time."""
    try:
        with urlopen(Request(url, headers=headers), timeout=timeout) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return None


class Web(Worker):
    """The web server, with one process of so many threads, and signed in by token."""

    def __init__(self, env: dict[str, str], *, threads: int = 8, username: str = "alice") -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        token = f"Token {token_of(username)}"
        self._headers = {"Authorization": token, "Content-Type": "application/json"}
        program = [*SERVER, "--port", str(port)]
        super().__init__({**env, "WEB_THREADS": str(threads)}, program=program)

    def __enter__(self) -> "Web":
        wait_until(self._answers, "the web server answers")
        return self

    def get(self, path: str, *, timeout: float = 60) -> Answer:
        return self._ask(Request(self.url + path, headers=self._headers), timeout)

    def send(self, command: str, *, timeout: float = 60, **fields: Any) -> Answer:
        path = f"{self.url}/api/v1/commands/{command}/"
        body = json.dumps(fields).encode()
        return self._ask(Request(path, body, self._headers, method="POST"), timeout)

    def _ask(self, request: Request, timeout: float) -> Answer:
        begun = time.monotonic()
        try:
            answer = urlopen(request, timeout=timeout)
        except HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
        return Answer(answer.status, answer.headers, body, time.monotonic() - begun)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.get("/health/live").status == 200
        return False
