"""Locks: "another process has it" and "nobody can be asked" are two things, and both are said."""

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread, current_thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from config.env import database_of
from contracts.posts import PostCreated
from dev.server import free_port
from messaging.bus import current_bus
from messaging.exceptions import HistoryMismatch, Unreachable
from messaging.rebuilding import requests
from messaging.rebuilding.worker import RebuildWorker, builders_lock
from messaging.relay import outbox
from messaging.relay.relay import Relay
from messaging.testing.waiting import wait_until
from messaging.workers import leadership as module
from messaging.workers.leadership import Leadership, acquired, kept, leadership
from tests.support.modes import Mode, new_postgresql, switched
from tests.support.modes import postgresql as on_the_server
from tests.support.records import publish, record_of
from tests.support.relaying import at_work
from tests.support.settings import postlog


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "postlog")  # else what repeats is logged once a minute
    return caplog


@contextmanager
def taken(lock: Leadership) -> Iterator[None]:
    assert acquired(lock)  # who had it before may have let go just now
    try:
        yield
    finally:
        lock.release()


def locks_in(**changed: Any) -> Any:
    right = connections["default"].settings_dict
    return postlog(LOCK_DATABASE={**right, **changed})


WRONG = {
    "port": ({"PORT": str(free_port())}, "refused"),
    "database": ({"NAME": "nowhere"}, 'database "nowhere" does not exist'),
    "role": ({"USER": "nobody"}, 'role "nobody" does not exist'),
}


@pytest.mark.parametrize(("changed", "why"), WRONG.values(), ids=WRONG)
def test_a_relay_that_cannot_ask_for_its_lock_says_why_and_tries_again(
    postgresql: Mode, told: pytest.LogCaptureFixture, changed: dict[str, Any], why: str
) -> None:
    with locks_in(**changed):
        relay = Relay(current_bus())
    told.set_level(logging.DEBUG, "postlog")  # else what repeats is said once a minute
    with at_work(relay):
        wait_until(lambda: told.text.count("Trying again") >= 2, "it tries again")
    (name, value), *_ = changed.items()
    assert 'relay: nobody can be asked for the lock "relay"' in told.text
    assert why in told.text
    assert {"NAME": "dbname", "USER": "user", "PORT": "port"}[name] + f"={value}" in told.text


def test_what_is_wrong_in_another_way_is_not_taken_for_a_server_that_is_away(
    postgresql: Mode,
) -> None:
    with locks_in(OPTIONS={"sslmodus": "require"}):
        lock = leadership("relay", "default")
    with pytest.raises(connections["default"].Database.ProgrammingError, match="sslmodus"):
        lock.acquire()


def test_a_lock_whose_session_was_ended_is_lost_and_that_is_said(
    postgresql: Mode, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = leadership("relay", "default")
    with taken(lock):
        monkeypatch.setattr(module, "BEAT_EVERY_S", 0.0)
        monkeypatch.setattr(module, "TRUSTED_FOR_S", 3600.0)
        assert lock.acquire()
        on_the_server(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{connections['default'].settings_dict['NAME']}' "
            "AND application_name = 'postlog relay lock'"
        )
        assert not lock.acquire()
        assert 'the lock "relay"' in told.text
        assert "is lost" in told.text
        assert acquired(lock), "taken again"


def test_a_lock_whose_holder_has_just_ended_is_waited_for(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = leadership("relay", "default"), leadership("relay", "default")
    asked = second.acquire

    def ask_before_the_end_is_seen() -> bool:
        answer = asked()
        first.release()
        return answer

    monkeypatch.setattr(second, "acquire", ask_before_the_end_is_seen)
    with taken(first):
        assert acquired(second)
    second.release()


def test_a_lock_that_is_kept_is_refused_in_the_end(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDED_WITHIN_S", 0.1)
    with taken(leadership("relay", "default")):
        assert not acquired(leadership("relay", "default"))


def test_a_relay_that_stands_by_says_for_which_lock_and_for_how_long(
    database: Mode, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TELL_EVERY_S", 0.0)
    lock = leadership("relay", "default")
    with taken(lock), at_work(Relay(current_bus())):
        first = f"relay: standing by: another process has {lock.name}"
        wait_until(lambda: first in told.text, "it says so at once")
        for_how_long = re.compile(r"relay: standing by for \d+ s")
        wait_until(lambda: for_how_long.search(told.text), "and for how long")
        lock.release()
        wait_until(lambda: "relay: active" in told.text, "it takes over")


def test_a_relay_that_leads_says_so_before_it_compares(
    database: Mode, told: pytest.LogCaptureFixture
) -> None:
    post_id = uuid4()
    publish(record_of(post_id, 1, PostCreated(post_id=post_id, author="a", message="foreign")))
    with pytest.raises(HistoryMismatch, match="The store is behind the topic"):
        Relay(current_bus()).run(Flag())
    assert "relay: leading; comparing the log with the store" in told.text


def test_a_rebuild_that_waits_says_for_which_lock(
    database: Mode, told: pytest.LogCaptureFixture
) -> None:
    current_bus().ensure_topic()
    requests.ask("posts", "log", "test")
    lock, worker = builders_lock("posts"), RebuildWorker(current_bus())
    with taken(lock):
        worker.run_once(Flag())
        worker.run_once(Flag())
    assert told.text.count(f"rebuild of posts: waiting: another process has {lock.name}") == 1
    wait_until(lambda: worker.run_once(Flag()) or requests.active("posts") is None, "it is built")  # type: ignore[func-returns-value]


def test_with_a_database_for_locks_and_without_it_is_one_lock(postgresql: Mode) -> None:
    direct = leadership("relay", "default")
    with locks_in():
        named = leadership("relay", "default")
        with taken(named):
            assert not direct.acquire()
        with taken(direct):
            assert not named.acquire()


def test_two_installations_share_a_database_for_locks_and_do_not_meet(postgresql: Mode) -> None:
    name = f"{connections['default'].settings_dict['NAME']}_other"
    with locks_in(), taken(leadership("relay", "default")):
        assert not leadership("relay", "default").acquire()
        try:
            with switched(new_postgresql(name)):
                other = leadership("relay", "default")
                with taken(other):
                    assert not leadership("relay", "default").acquire()
        finally:
            for alias in ("default", "read"):
                on_the_server(f'DROP DATABASE "{name}_{alias}" WITH (FORCE)')


def test_one_database_has_the_locks_of_both_sides(postgresql: Mode) -> None:
    with locks_in(), taken(leadership("relay", "default")), taken(builders_lock("posts")):
        assert not builders_lock("posts").acquire()
        with taken(builders_lock("likes")):
            assert outbox.waiting() == 0


def test_what_django_alone_understands_is_not_handed_to_the_lock(postgresql: Mode) -> None:
    url = postgresql.env["WRITE_DATABASE_URL"]
    options = {"server_side_binding": True, "pool": {"min_size": 1}, "isolation_level": 2}
    config = database_of(url)
    config["OPTIONS"].update(options)
    with postlog(LOCK_DATABASE=config), taken(leadership("relay", "default")):
        pass


def test_a_lock_that_is_lost_during_a_long_statement_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BEAT_EVERY_S", 0.01)
    asked: list[str] = []

    def held() -> bool:
        asked.append("")
        if len(asked) == 1:
            raise Unreachable("the connection is cut")
        return len(asked) > 2

    with kept(held):
        wait_until(lambda: len(asked) >= 4, "after an error, and after a no")


def test_a_question_for_a_lock_that_hangs_does_not_hold_up_who_waits_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BEAT_EVERY_S", 0.01)
    monkeypatch.setattr(module, "TRUSTED_FOR_S", 0.1)
    asked, server_answers = Flag(), Flag()
    answers: list[bool] = []

    def held() -> bool:
        asked.set()
        answers.append(server_answers.wait(10))
        return True

    with kept(held):
        assert asked.wait(30)
    assert answers == []
    server_answers.set()
    wait_until(lambda: answers == [True], "it ends")


def test_who_asks_while_another_thread_asks_waits_for_its_answer(postgresql: Mode) -> None:
    errors: list[Unreachable] = []

    def ask() -> None:
        try:
            lock.acquire()
        except Unreachable as error:
            errors.append(error)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        no_retries = {"sslmode": "disable", "gssencmode": "disable"}
        with locks_in(HOST="127.0.0.1", PORT=port, OPTIONS=no_retries):
            lock = leadership("relay", "default")
        threads = [Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        first, _ = server.accept()
        server.settimeout(1)
        with pytest.raises(TimeoutError):
            server.accept()
        first.close()
        server.settimeout(30)
        server.accept()[0].close()
        for thread in threads:
            thread.join(30)
    assert len(errors) == 2


def test_a_lock_is_asked_for_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_EVERY_S", 0.01)
    askers: list[Thread] = []

    def held() -> bool:
        askers.append(current_thread())
        return True

    def fails() -> None:
        with kept(held):
            wait_until(lambda: len(askers) >= 2, "the second thread asks")
            raise ValueError("of the statement")

    with pytest.raises(ValueError, match="of the statement"):
        fails()
    assert len(set(askers)) == 1
    assert not askers[0].is_alive()
