"""Whoever can open sockets cannot stop the site: slow heads, bodies and readers, HTTP/2, and
requests that nobody waits for.

Against the web server as the Procfile starts it, so as `make run` and `make stack` do. Behind a
proxy: tests/e2e/test_nginx.py.
"""

import json

import pytest

from messaging.eventstore.models import Event
from messaging.testing.waiting import wait_until
from tests.support import slow
from tests.support.modes import Mode
from tests.support.procfile import PATIENCE_S, ProcfileWeb
from tests.support.web import token_of


@pytest.mark.parametrize("kinds", [*slow.KINDS.values(), slow.ALL], ids=[*slow.KINDS, "all"])
def test_the_site_answers_within_a_second_during_an_attack(
    site: ProcfileWeb, kinds: dict[slow.Kind, int]
) -> None:
    quiet = slow.answers(site.live)
    with slow.Attack(site.connect, kinds) as attack:
        during = slow.answers_meanwhile(attack, site.live)
    # A machine that is busy with other things is slow without an attack, too.
    assert during < max(slow.PROMISED_S, slow.TIMES_QUIET * quiet)


def test_http_2_is_not_spoken(site: ProcfileWeb) -> None:
    with site.connect() as connection:
        connection.sendall(slow.h2c(b"localhost"))
        answer = connection.recv(100)
    assert not answer or answer.startswith(b"HTTP/1.1 400"), answer


def new_post(site: ProcfileWeb, length: bytes) -> bytes:
    head = b"POST /api/v1/commands/new-post/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    token = b"Authorization: Token %s\r\n" % token_of("alice").encode()
    return head + token + b"Content-Type: application/json\r\n" + length + b"\r\n"


def answer_to(site: ProcfileWeb, *parts: bytes) -> bytes:
    """Once the site is no longer busy with what the attack before has left."""

    def answer() -> bytes:
        found = site.send(*parts)
        return b"" if found.startswith(b"HTTP/1.1 503") else found

    return wait_until(answer, "it is not too busy to answer", 60)


WHOLE = b'{"message": "Hi"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def test_a_body_in_chunks_is_read_whole(site: ProcfileWeb) -> None:
    parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (WHOLE[:5], WHOLE[5:])]
    answer = answer_to(site, new_post(site, CHUNKED), *parts, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 201"), answer


@pytest.mark.parametrize(
    ("length", "parts"),
    [
        (CHUNKED, [b"%x\r\n%s\r\n" % (len(WHOLE), WHOLE)]),
        (b"Content-Length: %d\r\n" % (len(WHOLE) + 1), [WHOLE]),
    ],
    ids=["chunked", "content-length"],
)
def test_a_body_that_is_broken_off_takes_no_effect_though_it_looks_whole(
    site: ProcfileWeb, length: bytes, parts: list[bytes]
) -> None:
    before = Event.objects.count()
    site.send(new_post(site, length), *parts, end=True)
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    ("length", "parts", "status", "code"),
    [
        (b"Content-Length: 1048577\r\n", [], 413, "too_large"),
        (CHUNKED, [b"100001\r\n", b"x" * 0x100001], 413, "too_large"),
        (CHUNKED, [b"3\r\n{}}\r\n0\r\n\r\n"], 400, "parse_error"),
    ],
    ids=["declared", "chunked", "wrong"],
)
def test_a_body_that_is_refused_is_so_in_the_apis_form_and_at_once(
    site: ProcfileWeb, length: bytes, parts: list[bytes], status: int, code: str
) -> None:
    head, _, body = answer_to(site, new_post(site, length), *parts).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), head
    assert [error["code"] for error in json.loads(body)["errors"]] == [code]


def test_a_server_ends_in_time_though_slow_clients_hold_on(sqlite: Mode) -> None:
    """Those that read nothing would do so for ever."""
    with ProcfileWeb(sqlite.env) as site, slow.Attack(site.connect, slow.ALL) as attack:
        wait_until(attack.readers_wait, "there is an answer for each that reads nothing")
        assert site.stop(PATIENCE_S) == 0
