"""Whether a kept connection lives is asked once a second, and one that does not is replaced."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import connections
from django.db.backends.signals import connection_created

from tests.support.modes import Mode
from web.connections import _note_checks, _spare_checks, believe_for_a_second


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr("web.connections.time", SimpleNamespace(monotonic=lambda: now[0]))
    believe_for_a_second()
    yield now
    connection_created.disconnect(_note_checks, dispatch_uid="web.connections")
    request_started.disconnect(_spare_checks, dispatch_uid="web.connections")


def request() -> Any:
    """What its statement answers."""
    request_started.send(None, environ={})
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 7")
        found = cursor.fetchone()[0]
    request_finished.send(None)
    return found


def test_a_connection_is_asked_once_a_second(
    postgresql: Mode, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    kind = type(connections["default"])
    ask = kind.is_usable
    monkeypatch.setattr(kind, "is_usable", lambda self: asked.append(clock[0]) or ask(self))
    connections["default"].close()
    for now in (100.0, 100.5, 100.99, 101.0, 101.5, 102.1, 110.0, 110.0):
        clock[0] = now
        assert request() == 7
    assert asked == [101.0, 102.1, 110.0]


def test_a_connection_that_has_ended_is_replaced_by_the_next_request_after_a_second(
    postgresql: Mode, clock: list[float]
) -> None:
    connections["default"].close()
    assert request() == 7
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    with connections["read"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
        assert cursor.fetchone() == (True,)
    clock[0] += 1.0
    assert request() == 7
