"""Workers say that they are alive, also after a database was away."""

import logging
from datetime import timedelta
from threading import Event as Flag
from threading import Thread

import pytest
from django.db import connections
from django.db.models.functions import Now

from messaging.testing.waiting import wait_until
from messaging.workers import heartbeats
from messaging.workers.heartbeats import Heartbeats, alive, gone
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


def test_who_stops_or_dies_is_remembered_for_an_hour_and_until_when(database: Mode) -> None:
    for role in ("relay", "consumer"):
        Heartbeats({role: lambda: True}, partitions={"consumer": lambda: {"posts": [3]}})._beat()
    assert gone("relay", "consumer") == []
    Heartbeat.objects.filter(role="relay").update(beat_at=Now() - timedelta(seconds=13))
    Heartbeat.objects.filter(role="consumer").update(stopped_at=Now())
    assert [(one.role, one.partitions) for one in gone("relay", "consumer")] == [
        ("consumer", {"posts": [3]}),
        ("relay", {}),
    ]
    assert alive("relay") == alive("consumer") == []
    Heartbeat.objects.filter(role="relay").update(beat_at=Now() - timedelta(minutes=61))
    assert [one.role for one in gone("relay", "consumer")] == ["consumer"]


def test_a_heart_signs_off_when_it_is_asked_to_stop(sqlite: Mode) -> None:
    stop = Flag()
    heart = Heartbeats({"relay": lambda: True})
    heart._beat()
    stop.set()
    heart.run(stop)
    (mine,) = gone("relay")
    assert mine.stopped_at is not None
    heart._beat()
    assert (gone("relay"), len(alive("relay"))) == ([], 1)
