"""A client of the HTTP API that knows several servers and goes to another when one fails."""

import json
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlencode

COMMANDS, QUERIES = "/api/v1/commands", "/api/v1/queries"
PATIENCE_S = 15  # for one answer
MOVES_AFTER = 20  # requests, to the next server: none is left alone after it was away


class Response(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    text: str

    @property
    def json(self) -> dict[str, Any]:
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """Of the first error."""
        errors = self.json.get("errors") or [{}]
        return str(errors[0].get("code", ""))


class Away(Exception):
    """No answer. The request may have been carried out, or may still be."""


class Client:
    """One connection at a time; one thread. Its name is the client of the record."""

    def __init__(self, name: str, ports: list[int], token: str = "") -> None:
        self.name = name
        self._ports = ports
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Token {token}"
        self._turn = sum(name.encode()) % len(ports)
        self._connection: HTTPConnection | None = None
        self._sent = 0

    def send(self, command: str, body: dict[str, Any], **headers: str) -> Response:
        headers["Content-Type"] = "application/json"
        return self.request("POST", f"{COMMANDS}/{command}/", json.dumps(body), headers)

    def ask(self, query: str, params: dict[str, Any], **headers: str) -> Response:
        return self.request("GET", f"{QUERIES}/{query}/?{urlencode(params)}", None, headers)

    def move(self) -> None:
        """Use another server from now on."""
        self.close()
        self._turn += 1

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def request(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._sent += 1
        if self._sent % MOVES_AFTER == 0:
            self.move()
        try:
            if self._connection is None:
                port = self._ports[self._turn % len(self._ports)]
                self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            self._connection.request(method, path, body, {**self._headers, **named})
            answer = self._connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            self.move()
            raise Away(f"{type(error).__name__}: {error}") from error
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, found, text)
