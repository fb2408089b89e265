"""An ASGI application around a WSGI one, in which slow clients hold no thread.

The event loop reads a request's body, whole and within a time; only then does a thread work on
it, unless its client has gone, or too many wait. The server gets the answer whole, so that no
thread waits for a slow reader either (docs/decisions/0024-threads-see-whole-requests.md).
"""

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable, Container, Iterable
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from django.core.exceptions import RequestDataTooBig

from web.threads import WAIT_WITHIN_S, Answer, BrokenOff, Busy, Environ, Message, Receive, Threads

Application = Callable[[Environ, Any], Iterable[bytes]]

BODY_WITHIN_S = 20.0
IN_MEMORY = 64 * 1024  # bytes of a body; a longer one is in a temporary file
MAX_FILES = 128  # at once, each a descriptor; of about 1,000, the connections take half
WITHOUT_PREFIX = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


class Body(SpooledTemporaryFile[bytes]):
    """A request's, in memory or a file; there are at most `MAX_FILES` in `files`."""

    def __init__(self, files: set["Body"]) -> None:
        super().__init__(IN_MEMORY)
        self._files = files

    def rollover(self) -> None:
        if len(self._files) >= MAX_FILES:
            raise Busy
        self._files.add(self)
        super().rollover()

    def close(self) -> None:
        self._files.discard(self)
        super().close()


class TooLarge(io.RawIOBase):
    """Stands for a body that was not kept: whoever reads it learns why."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise RequestDataTooBig("The body is too large.")


class Buffered:
    """`application` as ASGI. At most `threads` requests are worked on at once.

    Of a body of more than `max_body` bytes the application sees no more than that. One that has
    not arrived after `body_within_s` is answered with 408. A request that finds too many before
    it, or no thread after `wait_within_s`, is answered with 503.

    The event loop itself answers GET and HEAD of the paths `on_loop`, whatever the threads do:
    their views may wait for nothing. It also calls `on_busy` with the status of an answer that the
    application does not see.
    """

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        max_body: int,
        body_within_s: float = BODY_WITHIN_S,
        wait_within_s: float = WAIT_WITHIN_S,
        on_loop: Container[str] = (),
        on_busy: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._application = application
        work = partial(answer_of, application)
        self._threads = Threads(threads, work, wait_within_s)
        self._max_body = max_body
        self._body_within_s = body_within_s
        self._on_loop = on_loop
        self._on_busy = on_busy
        self._files: set[Body] = set()

    async def __call__(
        self, scope: Message, receive: Receive, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"There is no {scope['type']} here.")
        environ = environ_of(scope)
        environ["wsgi.input"] = io.BytesIO()
        try:
            answer = await self._answer(environ, receive)
        except BrokenOff:  # unanswered, the server would say 500; who went away does not hear it
            answer = error_answer(400, "invalid_request", "The body is broken off, or not valid.")
        except TimeoutError:
            answer = error_answer(408, "request_timeout", "The body did not arrive in time.")
        except Busy:
            answer = error_answer(503, "unavailable", "The server is busy. Try again.")
            self._on_busy(503)
        finally:
            environ["wsgi.input"].close()
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _answer(self, environ: Environ, receive: Receive) -> Answer:
        if environ["PATH_INFO"] in self._on_loop and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return answer_of(self._application, environ)
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            self._threads.have_room()  # or there is no use in the body
            async with asyncio.timeout(self._body_within_s):
                await add_body(environ, receive, self._max_body, self._files)
        return await self._threads.run(environ, receive)


async def add_body(environ: Environ, receive: Receive, max_body: int, files: set[Body]) -> None:
    """Make it the environ's, with its length."""
    declared = None if "HTTP_TRANSFER_ENCODING" in environ else int(environ["CONTENT_LENGTH"])
    if declared is not None and declared > max_body:
        environ["wsgi.input"] = TooLarge()
        return
    environ["wsgi.input"] = body = Body(files)
    length = await receive_body(receive, body, declared, max_body)
    environ["CONTENT_LENGTH"] = str(length)
    if length > max_body:
        body.close()
        environ["wsgi.input"] = TooLarge()


async def receive_body(
    receive: Receive, body: IO[bytes], declared: int | None, max_body: int
) -> int:
    """Write it to `body`; return its length, or as soon as that is above `max_body`."""
    length, more = 0, True
    while more and length != declared and length <= max_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BrokenOff
        body.write(message.get("body", b""))
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body.seek(0)
    return length


def answer_of(application: Application, environ: Environ) -> Answer:
    """The whole of it."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        started[:] = status, headers

    chunks = application(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
    status, headers = started
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Answer(int(status[:3]), encoded, body)


def environ_of(scope: Message) -> Environ:
    """As PEP 3333 has it, but for the body."""
    (server, port), (client, client_port) = scope["server"], scope["client"]
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope.get("root_path", ""),
        "PATH_INFO": path_of(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:  # X_Forwarded_For would be taken for what a proxy has set
            continue
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        key = name if name in WITHOUT_PREFIX else f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        if key in environ:
            value = f"{environ[key]}{'; ' if name == 'COOKIE' else ','}{value}"
        environ[key] = value
    return environ


def path_of(raw: bytes) -> bytes:
    """In UTF-8, with U+FFFD for what is none. Django would escape each such byte by itself, copying
    all that is left every time: a tenth of a second of CPU for 21,000 of them."""
    return unquote_to_bytes(raw).decode(errors="replace").encode()


def error_answer(status: int, code: str, detail: str) -> Answer:
    """In the API's form at every address: to find a page takes a thread."""
    errors = [{"code": code, "detail": detail, "attr": None}]
    kind = "client_error" if status < 500 else "server_error"
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    return Answer(status, headers, json.dumps({"type": kind, "errors": errors}).encode())
