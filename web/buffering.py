"""An ASGI application around a WSGI one, in which slow clients hold no thread.

The event loop reads a request's body, whole and within a time; only then does a thread work on
it. The server gets the answer whole, so that no thread waits for a slow reader either
(docs/decisions/0024-threads-see-whole-requests.md).
"""

import asyncio
import io
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from queue import SimpleQueue
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from django.core.exceptions import RequestDataTooBig

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]
Message = MutableMapping[str, Any]

BODY_WITHIN_S = 20.0
IN_MEMORY = 64 * 1024  # bytes of a body; a longer one is in a temporary file
WITHOUT_PREFIX = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


class Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class BrokenOff(Exception):
    """The client went away within its body, or what it sends is no valid chunk: the server says
    the same of both."""


class TooLarge(io.RawIOBase):
    """Stands for a body that was not kept: whoever reads it learns why."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise RequestDataTooBig("The body is too large.")


class Buffered:
    """`application` as ASGI. At most `threads` requests are worked on at once.

    Of a body of more than `max_body` bytes the application sees no more than that. One that has
    not arrived after `body_within_s` is answered with 408.
    """

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        max_body: int,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        self._threads = Threads(threads, lambda environ: answer_of(application, environ))
        self._max_body = max_body
        self._body_within_s = body_within_s

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"There is no {scope['type']} here.")
        environ = environ_of(scope)
        environ["wsgi.input"] = io.BytesIO()
        try:
            if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
                async with asyncio.timeout(self._body_within_s):
                    await add_body(environ, receive, self._max_body)
            answer = await self._threads.run(environ)
        except BrokenOff:  # unanswered, the server would say 500; who went away does not hear it
            answer = error_answer(400, "invalid_request", "The body is broken off, or not valid.")
        except TimeoutError:
            answer = error_answer(408, "request_timeout", "The body did not arrive in time.")
        finally:
            environ["wsgi.input"].close()
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})


class Threads:
    """Do the work in one of so many threads, started by the first call. (Python's own pool
    makes a future of threads for each call, which costs 5 % of a request.)"""

    def __init__(self, count: int, work: Callable[[Environ], Answer]) -> None:
        self._count, self._work = count, work
        self._waiting: SimpleQueue[tuple[Environ, asyncio.Future[Answer]]] = SimpleQueue()
        self._started = False

    async def run(self, environ: Environ) -> Answer:
        if not self._started:  # not before: a fork leaves threads behind
            self._started = True
            for number in range(self._count):
                threading.Thread(target=self._serve, name=f"request-{number}", daemon=True).start()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.put((environ, future))
        return await future

    def _serve(self) -> None:
        while True:
            environ, future = self._waiting.get()
            answer: Answer | BaseException
            try:
                answer = self._work(environ)
            except BaseException as error:
                answer = error
            with suppress(RuntimeError):  # the loop is closed: the process ends
                future.get_loop().call_soon_threadsafe(settle, future, answer)
            del environ, future, answer  # not kept until the next request


def settle(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():  # nobody waits any more
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)


async def add_body(
    environ: Environ, receive: Callable[[], Awaitable[Message]], max_body: int
) -> None:
    """Make it the environ's, with its length."""
    declared = None if "HTTP_TRANSFER_ENCODING" in environ else int(environ["CONTENT_LENGTH"])
    if declared is not None and declared > max_body:
        environ["wsgi.input"] = TooLarge()
        return
    environ["wsgi.input"] = body = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  by who works on it
    length = await receive_body(receive, body, declared, max_body)
    environ["CONTENT_LENGTH"] = str(length)
    if length > max_body:
        body.close()
        environ["wsgi.input"] = TooLarge()


async def receive_body(
    receive: Callable[[], Awaitable[Message]], body: IO[bytes], declared: int | None, max_body: int
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
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
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


def error_answer(status: int, code: str, detail: str) -> Answer:
    """In the API's form at every address: to find a page takes a thread."""
    errors = [{"code": code, "detail": detail, "attr": None}]
    body = json.dumps({"type": "client_error", "errors": errors}).encode()
    return Answer(status, [(b"content-type", b"application/json"), (b"connection", b"close")], body)
