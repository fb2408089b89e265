"""What has expired is deleted daily by a consumer, and nothing else is."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone
from knox.models import AuthToken

from messaging.management.commands import runconsumer
from messaging.workers import cleaning
from tests.support.api import person
from tests.support.modes import Mode


class Days(threading.Event):
    """Waits no time, and stops after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._looks = looks

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        if len(self.waits) > self._looks:
            self.set()
        return self.is_set()


def test_expired_sessions_and_tokens_are_deleted_and_others_stay(database: Mode) -> None:
    alice, now = person("alice"), timezone.now()
    for name, expires in (("old", now - timedelta(days=1)), ("new", now + timedelta(days=1))):
        Session.objects.create(session_key=name, session_data="x", expire_date=expires)
        AuthToken.objects.create(alice, prefix=name)
        AuthToken.objects.filter(token_key__startswith=name).update(expiry=expires)
    AuthToken.objects.create(alice, expiry=None, prefix="never")
    cleaning.run(Days(1))
    assert [one.session_key for one in Session.objects.all()] == ["new"]
    keys = AuthToken.objects.values_list("token_key", flat=True)
    assert sorted(key[:3] for key in keys) == ["nev", "new"]


def test_it_is_a_part_of_each_consumer(sqlite: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, Any] = {}
    monkeypatch.setattr(runconsumer, "run_until_stopped", parts.update)
    call_command("runconsumer")
    assert parts["cleaning"] is cleaning.run


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The only work there is: errors that are raised, one a call, None for none."""
    errors: list[Any] = []

    def something() -> None:
        if (error := errors.pop(0)) is not None:
            raise error

    monkeypatch.setattr(cleaning, "daily_work", [something])
    return errors


def test_it_looks_within_the_first_hour_and_then_daily(work: list[Any]) -> None:
    work += [None] * 3
    days = Days(3)
    cleaning.run(days)
    assert work == []
    assert 0 <= days.waits[0] <= 3_600
    assert days.waits[1:] == [24 * 3_600] * 3


def test_while_the_database_is_away_it_is_tried_again_after_a_minute(
    work: list[Any], sqlite: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    work += [OperationalError("database is locked"), None]
    connection.ensure_connection()
    days = Days(2)
    cleaning.run(days)
    assert days.waits[1:] == [60, 24 * 3_600]
    assert "something: " in caplog.text
    assert connection.connection is None, "the next try has one of its own"


def test_an_error_ends_neither_the_worker_nor_the_next_day(
    work: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    work += [KeyError("broken"), None]
    days = Days(2)
    cleaning.run(days)
    assert work == []
    assert days.waits[1:] == [24 * 3_600] * 2
    assert "something failed; it is tried again tomorrow." in caplog.text
