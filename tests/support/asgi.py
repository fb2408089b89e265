"""An application behind web.buffering, asked without a server."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

from web.buffering import Buffered

LIMIT = 100_000
DEADLINE_S = 30
FOR_EVER_S = 3_600

Messages = list[dict[str, Any]]


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def scope(*headers: tuple[bytes, bytes], **others: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "raw_path": b"/caf%C3%A9/%FF",
        "query_string": b"a=1",
        "server": ("127.0.0.1", "8000"),
        "client": ("10.0.0.1", "4321"),
        "headers": list(headers),
        **others,
    }


class Site:
    """An application that keeps what it was given, and answers with the body."""

    def __init__(
        self, work: Callable[[], Any] = lambda: None, *, threads: int = 1, **options: Any
    ) -> None:
        self.seen: list[dict[str, Any]] = []
        self.work = work
        self.closed = 0
        options = {"body_within_s": FOR_EVER_S, "wait_within_s": FOR_EVER_S, **options}
        self.buffered = Buffered(self, threads=threads, max_body=LIMIT, **options)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.work()
        body = environ["wsgi.input"].read()
        self.seen.append({**environ, "body": body})
        start_response("201 Created", [("X-Length", str(len(body)))])
        return Chunks(self, [body[:1], body[1:]])

    def ask(self, asked: dict[str, Any], *messages: dict[str, Any]) -> Messages:
        """What is sent; after the messages the client is silent."""
        return asyncio.run(asyncio.wait_for(self.exchange(asked, *messages), DEADLINE_S))

    async def exchange(
        self, asked: dict[str, Any], *messages: dict[str, Any], until: asyncio.Event | None = None
    ) -> Messages:
        """As `ask`; the client goes once `until` is set."""
        waiting, sent = list(messages), Messages()
        goes = until or asyncio.Event()

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop(0)
            await goes.wait()
            return GONE

        async def send(message: Any) -> None:
            sent.append(message)

        await self.buffered(asked, receive, send)
        return sent


class Chunks(list[bytes]):
    def __init__(self, site: Site, chunks: list[bytes]) -> None:
        super().__init__(chunks)
        self.site = site

    def close(self) -> None:
        self.site.closed += 1


LENGTH = (b"content-length", b"6")
CHUNKED = (b"transfer-encoding", b"chunked")
GONE = {"type": "http.disconnect"}


class Held:
    """A site whose only thread is at work on a first request, until the end of `then`."""

    def __init__(self, **options: Any) -> None:
        self._begun, self._end = threading.Event(), threading.Event()
        self.site = Site(self._work, **options)

    def _work(self) -> None:
        self._begun.set()
        assert self._end.wait(DEADLINE_S)

    def run(self, then: Callable[[Site], Any]) -> Messages:
        """Do so, then end; what the first is answered."""

        async def all_of_it() -> Messages:
            task = asyncio.create_task(self.site.exchange(scope()))
            try:
                await asyncio.to_thread(self._begun.wait, DEADLINE_S)
                await then(self.site)
            finally:
                self._end.set()
            return await task

        return asyncio.run(asyncio.wait_for(all_of_it(), DEADLINE_S))
