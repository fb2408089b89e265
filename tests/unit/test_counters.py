"""Counters: nobody can push out another's, none is lost in a race, and Redis may be away."""

import socket
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from fakeredis import TcpFakeServer
from redis import Redis

from tests.support.threads import together
from web import counters
from web.counters import Local, Shared, Window

GUESSES = Window("guesses", 300)


@pytest.fixture(autouse=True)
def the_same_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Window, "now", lambda self: (1, self.seconds))


def at(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that speaks its protocol, and counters in it. A busy machine is not away."""
    monkeypatch.setattr(counters, "MAX_ANSWER_S", 60)
    counters._client.cache_clear()
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    with override_settings(COUNTERS=at(server.server_address[1])):
        yield
        counters.client(settings.COUNTERS).close()
    counters._client.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["local", "shared"])
def store(request: pytest.FixtureRequest) -> None:
    if request.param == "shared":
        request.getfixturevalue("redis")


@pytest.mark.usefixtures("store")
def test_what_is_taken_back_is_taken_from_the_window_that_it_was_added_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else who enters in one window and leaves in the next could try more often there."""
    added = counters.add(GUESSES, "alice")
    monkeypatch.setattr(Window, "now", lambda self: (2, self.seconds))
    counters.add(GUESSES, "alice")
    counters.take_back(GUESSES, "alice", added)
    assert counters.look(GUESSES, "alice").number == 1
    counters.take_back(GUESSES, "alice", counters.add(GUESSES, "alice"))
    assert counters.look(GUESSES, "alice").number == 1


@pytest.mark.usefixtures("store")
def test_counts_are_by_kind_and_by_who() -> None:
    assert [counters.add(GUESSES, "alice").number for _ in range(3)] == [1, 2, 3]
    assert counters.add(GUESSES, "bob").number == 1
    assert counters.add(Window("others", 300), "alice").number == 1
    assert counters.add(GUESSES, "alice", -1).number == 2
    assert counters.look(GUESSES, "alice") == (2, 300, 1)
    assert counters.look(GUESSES, "carol").number == 0


@pytest.mark.usefixtures("store")
def test_none_is_lost_when_many_count_at_once() -> None:
    each = 10 if settings.COUNTERS else 50  # a round trip takes longer, and meets more others

    def count() -> list[int]:
        return [counters.add(GUESSES, "alice").number for _ in range(each)]

    seen = together(*[count] * 8)
    assert counters.look(GUESSES, "alice").number == 8 * each
    assert max(number for numbers in seen for number in numbers) == 8 * each


@pytest.mark.usefixtures("redis")
def test_threads_that_begin_at_once_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one would be closed in the middle of a request."""
    another, made, make = Event(), [], Redis.from_url

    def making(*args: Any, **options: Any) -> Redis:
        made.append(args)
        another.set() if len(made) > 1 else another.wait(0.2)
        return make(*args, **options)

    monkeypatch.setattr(Redis, "from_url", making)
    together(*[lambda: counters.add(GUESSES, "alice")] * 2)
    assert len(made) == 1


def test_the_next_window_begins_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counters.add(GUESSES, "alice")
    monkeypatch.setattr(Window, "now", lambda self: (2, self.seconds))
    assert counters.add(GUESSES, "alice").number == 1


def test_nobody_can_push_out_the_counter_of_another() -> None:
    for _ in range(9):
        counters.add(GUESSES, "alice")
    for number in range(40_000):
        counters.add(GUESSES, f"nobody{number}")
    assert counters.look(GUESSES, "alice").number >= 9
    cells = counters._local._windows[GUESSES.kind][1]
    assert len(cells) <= 2 * 16_384, "memory is fixed"


def test_strangers_hardly_ever_share_a_counter() -> None:
    """Also while some hundred others are over their limit."""
    for number in range(300):
        counters.add(GUESSES, f"guesser{number}", 10)
    sharing = [who for who in range(1_000) if counters.look(GUESSES, f"person{who}").number]
    assert len(sharing) <= 10


def test_processes_count_together_in_redis(redis: None) -> None:
    one, other = Shared(Local()), Shared(Local())
    assert [store.add(GUESSES, 1, [7], 1) for store in (one, other, one)] == [1, 2, 3]


def test_while_redis_is_away_a_process_counts_by_itself(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        with override_settings(COUNTERS=at(closed.getsockname()[1])):
            store = Shared(Local())
            assert [store.add(GUESSES, 1, [7], 1) for _ in range(3)] == [1, 2, 3]
            lines = [one.getMessage() for one in caplog.records]
            assert len(lines) == 1, "it is not asked again for a while"
            assert "CACHE_URL cannot be asked" in lines[0]


def test_a_redis_that_hangs_holds_a_request_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert counters.MAX_ANSWER_S <= 1
    monkeypatch.setattr(counters, "MAX_ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = at(silent.getsockname()[1])
        counters._client.cache_clear()
        waits = counters.client(url).get_connection_kwargs()
        assert (waits["socket_timeout"], waits["socket_connect_timeout"]) == (0.1, 0.1)
        with override_settings(COUNTERS=url):
            store = Shared(Local())
            assert [store.add(GUESSES, 1, [7], 1) for _ in range(2)] == [1, 2]
            assert store._ask_again > 0


def test_no_count_stays_in_redis(redis: None) -> None:
    counters.add(GUESSES, "alice")
    counters.look(GUESSES, "bob")
    client = counters.client(settings.COUNTERS)
    keys = list(client.scan_iter())
    assert len(keys) == 4
    assert all(0 < client.ttl(key) <= 600 for key in keys)
