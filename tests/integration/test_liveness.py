"""Workers say that they are alive, also after a database was away."""

import logging
from threading import Event as Flag
from threading import Thread

import pytest
from django.db import connections

from messaging.testing.waiting import wait_until
from messaging.workers import heartbeats
from messaging.workers.heartbeats import Heartbeats
from messaging.workers.models import Heartbeat
from tests.support.modes import Mode
from tests.support.modes import postgresql as administer


def test_a_heart_beats_again_after_the_database_took_no_writes(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a failover: its session stays with a server that is no primary any more."""
    monkeypatch.setattr(heartbeats, "BEAT_EVERY_S", 0.05)
    caplog.set_level(logging.DEBUG, "postlog.liveness")
    name = connections["default"].settings_dict["NAME"]
    stop = Flag()

    def run() -> None:
        try:
            Heartbeats({"relay": lambda: True}).run(stop)
        finally:
            connections.close_all()

    administer(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    connections["default"].close()
    thread = Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: "read-only transaction" in caplog.text, "it cannot write")
        administer(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        wait_until(Heartbeat.objects.exists, "it beats again")
    finally:
        stop.set()
        thread.join(30)
