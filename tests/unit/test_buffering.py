"""The application sees whole requests only, as WSGI has them, however they arrive."""

import asyncio
import json

import pytest
from django.core.exceptions import RequestDataTooBig

from tests.support.asgi import CHUNKED, DEADLINE_S, GONE, LENGTH, LIMIT, Messages, Site, part, scope
from web.buffering import IN_MEMORY


@pytest.mark.parametrize("header", [LENGTH, CHUNKED])
def test_a_body_in_parts_is_one_with_a_length(header: tuple[bytes, bytes]) -> None:
    site = Site()
    start, body = site.ask(scope(header), part(b"abc"), part(b"def"), part(b"", more=False))
    assert (site.seen[0]["body"], site.seen[0]["CONTENT_LENGTH"]) == (b"abcdef", "6")
    assert (start["status"], start["headers"]) == (201, [(b"x-length", b"6")])
    assert (body["body"], body["more_body"], site.closed) == (b"abcdef", False, 1)


def test_what_has_arrived_by_its_length_is_not_waited_for() -> None:
    assert Site().ask(scope(LENGTH), part(b"abcdef"))[0]["status"] == 201


def test_without_a_body_nothing_is_waited_for() -> None:
    site = Site()
    assert site.ask(scope())[0]["status"] == 201
    assert (site.seen[0]["body"], "CONTENT_LENGTH" in site.seen[0]) == (b"", False)


@pytest.mark.parametrize("length", [IN_MEMORY + 1, LIMIT])
def test_a_long_body_is_whole(length: int) -> None:
    site = Site()
    site.ask(scope((b"content-length", b"%d" % length)), part(b"x" * 7), part(b"y" * (length - 7)))
    assert site.seen[0]["body"] == b"x" * 7 + b"y" * (length - 7)


def test_no_thread_works_on_a_request_whose_body_is_on_its_way() -> None:
    site = Site(threads=1)

    async def all_of_them() -> Messages:
        slow = [asyncio.create_task(site.exchange(scope(LENGTH), part(b"a"))) for _ in range(50)]
        quick = await site.exchange(scope())
        assert not any(task.done() for task in slow)
        return quick

    assert asyncio.run(asyncio.wait_for(all_of_them(), DEADLINE_S))[0]["status"] == 201
    assert len(site.seen) == 1


@pytest.mark.parametrize("header", [LENGTH, CHUNKED])
def test_a_body_that_does_not_arrive_in_time_is_408(header: tuple[bytes, bytes]) -> None:
    site = Site(body_within_s=0.01)
    start, body = site.ask(scope(header), part(b"abc"))
    assert (start["status"], (b"connection", b"close") in start["headers"]) == (408, True)
    assert b'"code": "request_timeout"' in body["body"]
    assert site.seen == []


@pytest.mark.parametrize("header", [LENGTH, CHUNKED])
def test_a_body_that_is_broken_off_is_not_worked_on(header: tuple[bytes, bytes]) -> None:
    site = Site()
    start, body = site.ask(scope(header), part(b"abc"), GONE)
    assert start["status"] == 400
    assert json.loads(body["body"])["errors"][0]["code"] == "invalid_request"
    assert site.seen == []


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ((b"content-length", b"%d" % (LIMIT + 1)), []),
        (CHUNKED, [part(b"x" * LIMIT), part(b"x")]),
    ],
    ids=["declared", "chunked"],
)
def test_a_body_that_is_too_large_is_refused_before_the_rest_arrives(
    header: tuple[bytes, bytes], parts: Messages
) -> None:
    with pytest.raises(RequestDataTooBig):
        Site().ask(scope(header), *parts)


def test_the_request_is_as_wsgi_has_it() -> None:
    site = Site()
    headers = [
        (b"host", b"postlog.example"),
        (b"content-type", b"text/plain"),
        (b"if-match", b'"1"'),
        (b"if-match", b'"2"'),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"idempotency-key", b"caf\xe9"),
    ]
    site.ask(scope(*headers))
    seen = site.seen[0]
    assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"]) == ("POST", "a=1")
    assert seen["PATH_INFO"] == "/caf\xc3\xa9/\xef\xbf\xbd"  # bytes as Latin-1; U+FFFD for \xff
    assert (seen["HTTP_HOST"], seen["CONTENT_TYPE"]) == ("postlog.example", "text/plain")
    assert (seen["HTTP_IF_MATCH"], seen["HTTP_COOKIE"]) == ('"1","2"', "a=1; b=2")
    assert seen["HTTP_IDEMPOTENCY_KEY"] == "caf\xe9"
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"]) == ("10.0.0.1", "8000")


def test_a_name_with_an_underscore_does_not_pass_for_one_with_a_hyphen() -> None:
    site = Site()
    site.ask(scope((b"x_forwarded_for", b"6.6.6.6"), (b"x-forwarded-for", b"10.0.0.7")))
    assert site.seen[0]["HTTP_X_FORWARDED_FOR"] == "10.0.0.7"
    site.ask(scope((b"x_forwarded_proto", b"https"), (b"content_length", b"5")))
    assert not {"HTTP_X_FORWARDED_PROTO", "CONTENT_LENGTH"} & set(site.seen[1])


def test_a_fault_of_the_application_is_the_servers_and_the_thread_goes_on() -> None:
    faults: list[Exception] = [ValueError("a fault")]

    def work() -> None:
        if faults:
            raise faults.pop()

    site = Site(work)
    with pytest.raises(ValueError, match="a fault"):
        site.ask(scope())
    assert site.ask(scope())[0]["status"] == 201


def test_there_is_nothing_but_http() -> None:
    with pytest.raises(NotImplementedError):
        Site().ask({"type": "websocket"})
