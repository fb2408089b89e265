"""So many requests are worked on and wait, in memory and in files; those beyond are told so."""

import asyncio
import json
import threading
from typing import Any

import pytest

from messaging.testing.waiting import wait_until
from tests.support.asgi import (
    CHUNKED,
    DEADLINE_S,
    GONE,
    LENGTH,
    Held,
    Messages,
    Site,
    part,
    scope,
)
from web import buffering
from web.buffering import IN_MEMORY


def test_so_many_requests_are_worked_on_at_once_and_no_more() -> None:
    together = threading.Barrier(3, timeout=DEADLINE_S)
    at_once: list[int] = []
    lock, count = threading.Lock(), 0

    def work() -> None:
        nonlocal count
        with lock:
            count += 1
            at_once.append(count)
        together.wait()
        with lock:
            count -= 1

    site = Site(work, threads=3)

    async def nine() -> None:
        tasks = asyncio.all_tasks()
        await asyncio.gather(*(site.exchange(scope()) for _ in range(9)))
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == tasks, "nothing is watched any more"

    asyncio.run(asyncio.wait_for(nine(), DEADLINE_S))
    assert max(at_once) == 3


@pytest.mark.parametrize("length", [6, IN_MEMORY + 1])
def test_a_request_that_waits_is_dropped_once_its_client_has_gone(length: int) -> None:
    held = Held()
    headers = (b"content-length", b"%d" % length)

    async def abandon(site: Site) -> None:
        await site.exchange(scope(headers), part(b"x" * length), part(b"", more=False), GONE)
        assert not site.buffered._files, "the body is closed"

    held.run(abandon)
    assert len(held.site.seen) == 1
    assert held.site.ask(scope())[0]["status"] == 201, "the thread goes on"


def test_a_request_that_is_worked_on_is_finished_though_its_client_has_gone() -> None:
    """One that has waited, so that its client is watched."""
    begun, may_end = threading.Semaphore(0), threading.Semaphore(0)

    def work() -> None:
        begun.release()
        assert may_end.acquire(timeout=DEADLINE_S)

    site = Site(work)

    async def two() -> Messages:
        first = asyncio.create_task(site.exchange(scope()))
        await asyncio.to_thread(begun.acquire, timeout=DEADLINE_S)
        goes = asyncio.Event()
        second = asyncio.create_task(site.exchange(scope(), until=goes))
        await asyncio.sleep(0)  # it waits
        may_end.release()
        await first
        await asyncio.to_thread(begun.acquire, timeout=DEADLINE_S)
        goes.set()
        for _ in range(10):
            await asyncio.sleep(0)  # what is to come of it has come
        may_end.release()
        return await second

    assert asyncio.run(asyncio.wait_for(two(), DEADLINE_S))[0]["status"] == 201


def test_a_client_is_not_watched_while_a_thread_is_idle() -> None:
    site, sent, watched = Site(), Messages(), []

    async def receive() -> dict[str, Any]:
        watched.append(True)
        return GONE

    async def send(message: Any) -> None:
        sent.append(message)

    async def one_after_another() -> None:
        for _ in range(3):
            await site.buffered(scope(), receive, send)

    asyncio.run(one_after_another())
    assert [start["status"] for start in sent[::2]] == [201] * 3
    assert not watched


def test_a_thread_goes_on_when_what_it_has_a_ticket_for_is_given_up() -> None:
    site = Site()
    site.buffered._threads._tickets.put(None)
    assert [site.ask(scope())[0]["status"] for _ in range(2)] == [201, 201]


async def fill(site: Site, monkeypatch: pytest.MonkeyPatch) -> asyncio.Task[Messages]:
    """One more waits, and there is room for no other."""
    monkeypatch.setattr("web.threads.WAITING_PER_THREAD", 1)
    last = asyncio.create_task(site.exchange(scope()))
    await asyncio.sleep(0)  # it runs until it waits
    return last


def is_busy(start: dict[str, Any], body: dict[str, Any]) -> bool:
    error = json.loads(body["body"])
    assert (start["status"], error["type"]) == (503, "server_error")
    assert error["errors"][0]["code"] == "unavailable"
    return {(b"retry-after", b"1"), (b"connection", b"close")} <= set(start["headers"])


@pytest.mark.parametrize("headers", [[], [LENGTH], [CHUNKED]])
def test_a_request_that_finds_too_many_before_it_is_503_and_its_body_is_not_awaited(
    monkeypatch: pytest.MonkeyPatch, headers: list[tuple[bytes, bytes]]
) -> None:
    held = Held()

    async def one_too_many(site: Site) -> None:
        last = await fill(site, monkeypatch)
        assert is_busy(*await site.exchange(scope(*headers)))
        assert not last.done()

    held.run(one_too_many)
    wait_until(lambda: held.site.ask(scope())[0]["status"] == 201, "there is room again")


def test_who_goes_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.threads.WAITING_PER_THREAD", 1)
    held = Held()
    stays: list[asyncio.Task[Messages]] = []

    async def go_and_come(site: Site) -> None:
        for _ in range(3):
            assert (await site.exchange(scope(), GONE))[0]["status"] != 503
        assert not site.buffered._threads._tickets.qsize()
        stays.append(await fill(site, monkeypatch))
        assert not stays[0].done()

    held.run(go_and_come)


def test_a_request_for_which_no_thread_is_free_in_time_is_503() -> None:
    held = Held(wait_within_s=0.01)

    async def wait(site: Site) -> None:
        assert is_busy(*await site.exchange(scope()))

    assert held.run(wait)[0]["status"] == 201, "work may take longer"
    assert len(held.site.seen) == 1


def test_so_many_bodies_are_in_files_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering, "MAX_FILES", 1)
    length = IN_MEMORY + 1
    asked, whole = scope((b"content-length", b"%d" % length)), part(b"x" * length)
    site = Site()

    async def two() -> None:
        arriving = scope((b"content-length", b"%d" % (length + 1)))
        first = asyncio.create_task(site.exchange(arriving, whole))
        await asyncio.sleep(0)
        assert not first.done()
        assert is_busy(*await site.exchange(asked, whole))
        assert (await site.exchange(scope(LENGTH), part(b"abcdef")))[0]["status"] == 201
        first.cancel()
        await asyncio.wait([first])
        assert (await site.exchange(asked, whole))[0]["status"] == 201

    asyncio.run(asyncio.wait_for(two(), DEADLINE_S))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_event_loop_answers_whatever_the_threads_do(method: str) -> None:
    held = Held()
    held.site.buffered._on_loop = {"/live"}
    live = scope(raw_path=b"/live", method=method, query_string=b"a")

    async def look(site: Site) -> None:
        site.work = lambda: None
        answer = await site.exchange(live)
        assert (answer[0]["status"], site.seen[0]["PATH_INFO"]) == (201, "/live")

    held.run(look)


def test_the_event_loop_answers_nothing_but_what_it_is_to() -> None:
    worked_by: list[str] = []
    site = Site(lambda: worked_by.append(threading.current_thread().name), on_loop={"/live"})
    for asked in ({"method": "POST"}, {"method": "GET", "raw_path": b"/live/"}):
        site.ask(scope(**{"raw_path": b"/live", **asked}))
    assert worked_by == ["request-0", "request-0"]
