"""Which parts of a worker are stuck."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.utils import ConnectionHandler

from messaging.dialect.sessions import limit_waits_for_locks
from messaging.testing.waiting import wait_until
from messaging.workers.threads import LONG_STEP_S, Part, Stop, take_time

TOO_LONG_S = 10_000.0  # beyond every limit


@pytest.fixture
def hanging() -> Iterator[Part]:
    """A part that does not look at its flag."""
    release = threading.Event()

    def work(stop: threading.Event) -> None:
        release.wait()

    part = Part("p", work, lambda: None)
    part.thread.start()
    yield part
    release.set()
    part.thread.join()


def is_stuck(part: Part) -> bool:
    """When it has not moved since now for longer than any limit."""
    part.is_stuck(0)
    return part.is_stuck(TOO_LONG_S)


def test_a_part_that_looks_at_its_flag_no_more_is_stuck(hanging: Part) -> None:
    assert is_stuck(hanging)


def test_a_part_that_has_ended_is_not_stuck() -> None:
    part = Part("p", lambda _: None, lambda: None)
    part.thread.start()
    part.thread.join()
    assert not is_stuck(part)


def test_a_part_that_waits_by_its_flag_is_not_stuck_for_however_long() -> None:
    def work(stop: threading.Event) -> None:
        stop.wait()

    part = Part("p", work, lambda: None)
    part.thread.start()
    wait_until(lambda: part.stop.is_awaited, "it waits")
    assert not is_stuck(part)
    part.stop.set()
    part.thread.join()


@pytest.mark.parametrize("look", [Stop.is_set, lambda stop: stop.wait(0)], ids=["is_set", "wait"])
def test_a_part_that_looks_has_moved_and_can_be_stuck_afterwards(
    hanging: Part, look: Callable[[Stop], bool]
) -> None:
    assert is_stuck(hanging)
    look(hanging.stop)
    assert not hanging.is_stuck(TOO_LONG_S)
    assert hanging.is_stuck(TOO_LONG_S)


def test_a_step_that_was_announced_may_take_longer_until_the_next_look(hanging: Part) -> None:
    take_time(hanging.stop)
    assert not hanging.is_stuck(LONG_STEP_S)
    assert hanging.is_stuck(1)
    hanging.stop.is_set()
    hanging.is_stuck(0)
    assert hanging.is_stuck(LONG_STEP_S)


def test_a_wait_for_a_lock_is_limited_unless_the_url_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgresql: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql"}
    databases: dict[str, dict[str, Any]] = {
        "default": {**postgresql, "OPTIONS": {"options": "-c lock_timeout=7s"}},
        "without options": {**postgresql},
        "pooled": {**postgresql, "DISABLE_SERVER_SIDE_CURSORS": True},
        "sqlite": {"ENGINE": "django.db.backends.sqlite3"},
    }
    handler = ConnectionHandler(databases)
    monkeypatch.setattr("messaging.dialect.sessions.connections", handler)
    limit_waits_for_locks(7.5)
    assert {alias: config["OPTIONS"] for alias, config in handler.settings.items()} == {
        "default": {"options": "-c lock_timeout=7500ms -c lock_timeout=7s"},  # the last one counts
        "without options": {"options": "-c lock_timeout=7500ms"},
        "pooled": {},
        "sqlite": {},
    }
