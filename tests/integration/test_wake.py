"""The first command after a silence wakes the relay, and no other one notifies."""

import time
from contextlib import closing
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.db import connections

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.dialect import changes, sessions
from messaging.dialect.changes import Silence
from messaging.eventstore import statements
from messaging.message import Context
from messaging.relay import outbox, relay
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode

LISTENS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND query = 'LISTEN postlog_outbox'
"""
FOR_EVER_S = 120.0


def connected() -> Any:
    return sessions.connect(sessions.parameters(connections["default"].settings_dict))


def test_a_relay_that_pauses_for_long_is_woken_by_the_first_command_after_a_silence(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((changes, "MIN_PAUSE_S"), (changes, "MAX_PAUSE_S"), (relay, "MAX_WAIT_S")):
        monkeypatch.setattr(module, name, FOR_EVER_S)
    monkeypatch.setattr(statements, "_silence", Silence())
    stop, one = Flag(), relay.Relay(current_bus())

    def run() -> None:
        one.run(stop)
        connections.close_all()

    thread = Thread(target=run)
    thread.start()
    with closing(
        sessions.connect(sessions.parameters(connections["default"].settings_dict))
    ) as own:
        try:
            wait_until(lambda: sessions.answer(own, LISTENS), "it pauses")
            mediator.send(NewPost(message="Hi"), Context(actor="alice"))
            wait_until(lambda: outbox.waiting() == 0, "it is published", FOR_EVER_S / 2)
        finally:
            stop.set()
            own.cursor().execute("NOTIFY postlog_outbox")
            thread.join(FOR_EVER_S / 2)


def test_one_notification_ends_one_pause(postgresql: Mode) -> None:
    with closing(connected()) as listener, closing(connected()) as other:
        sessions.listen(listener)
        for _ in range(2):
            other.cursor().execute("NOTIFY postlog_outbox")
            sessions.wait_for_notice(listener, FOR_EVER_S)
            begun = time.monotonic()
            sessions.wait_for_notice(listener, 0.2)
            assert time.monotonic() - begun >= 0.2


def test_who_has_lost_the_session_of_the_lock_pauses_and_listens_again(postgresql: Mode) -> None:
    one = relay.Relay(current_bus())
    one.run_once()
    lock = one._leadership
    assert not lock.pause(0, Flag())
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'postlog relay lock' AND datname = current_database()"
        )
    for _ in range(2):
        assert not lock.pause(0.01, Flag())
    one.close()
    with closing(connected()) as own:
        wait_until(lambda: one.run_once() or one.is_active(), "it leads again")
        assert not lock.pause(0.01, Flag())
        assert sessions.answer(own, LISTENS) == 1, "by a new session, which listens as well"
    one.close()
