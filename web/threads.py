"""So many requests are worked on at once; so many more wait, for so long, while their clients do.

docs/decisions/0024-threads-see-whole-requests.md
"""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

Environ = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

WAIT_WITHIN_S = 10.0
WAITING_PER_THREAD = 32


class Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class BrokenOff(Exception):
    """The client went away, or what it sends is no valid chunk: the server says the same of
    both."""


class Busy(Exception):
    """More has arrived than can be worked on soon."""


@dataclass(eq=False, slots=True)
class Request:
    environ: Environ
    future: asyncio.Future[Answer]


class Threads:
    """Do the work in one of so many threads, started by the first call. (Python's own pool
    makes a future of threads for each call, which costs 5 % of a request.)

    A request waits in `_waiting`: who removes it from there, a thread or the event loop, decides
    about it. For each there is a ticket, for which threads can wait, as they cannot for a deque.
    """

    def __init__(self, count: int, work: Callable[[Environ], Answer], wait_within_s: float) -> None:
        self._count, self._work, self._wait_within_s = count, work, wait_within_s
        self._waiting: deque[Request] = deque()
        self._tickets: SimpleQueue[None] = SimpleQueue()
        self._inside = 0  # requests that wait or are worked on
        self._started = False

    def have_room(self) -> None:
        if len(self._waiting) >= self._count * WAITING_PER_THREAD:
            raise Busy

    async def run(self, environ: Environ, receive: Receive) -> Answer:
        self.have_room()
        if not self._started:  # not before: a fork leaves threads behind
            self._started = True
            for number in range(self._count):
                threading.Thread(target=self._serve, name=f"request-{number}", daemon=True).start()
        loop = asyncio.get_running_loop()
        request = Request(environ, loop.create_future())
        self._waiting.append(request)
        self._tickets.put(None)
        self._inside += 1
        watch = None
        if self._inside > self._count:  # otherwise a thread is idle: there is nothing to watch
            watch = loop.create_task(self._watch(request, receive))
        try:
            return await request.future
        finally:
            self._inside -= 1
            if watch:
                watch.cancel()

    async def _watch(self, request: Request, receive: Receive) -> None:
        """Until its client has gone, or the time is over."""
        try:
            async with asyncio.timeout(self._wait_within_s):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            self._give_up(request, Busy())
        else:
            self._give_up(request, BrokenOff())

    def _give_up(self, request: Request, error: Exception) -> None:
        try:
            self._waiting.remove(request)
        except ValueError:  # it is being worked on
            return
        with suppress(Empty):  # a thread has its ticket, and will find nothing
            self._tickets.get_nowait()
        settle(request.future, error)

    def _serve(self) -> None:
        while True:
            self._tickets.get()
            try:
                request = self._waiting.popleft()
            except IndexError:  # given up
                continue
            answer: Answer | BaseException
            try:
                answer = self._work(request.environ)
            except BaseException as error:
                answer = error
            with suppress(RuntimeError):  # the loop is closed: the process ends
                request.future.get_loop().call_soon_threadsafe(settle, request.future, answer)
            del request, answer  # not kept until the next request


def settle(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():  # nobody waits any more
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
