"""`/health/ready` answers from a look in the background, and waits for nobody."""

import re
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.message import Context, utc_now
from messaging.monitoring import health
from messaging.testing import deliver_all, wait_until
from messaging.workers.models import Heartbeat
from tests.support.clock import nobody_moved_for
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.readiness import ready
from tests.support.relaying import publish_all
from tests.support.threads import together
from tests.support.web import Web

PROBES = 20


@pytest.fixture
def hung(sqlite: Mode) -> Iterator[dict[str, str]]:
    """An environment with a broker that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as broker:
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        yield {**sqlite.env, "KAFKA_BOOTSTRAP_SERVERS": address}


def leading() -> None:
    """A relay that is alive for as long as any test may take."""
    current_bus().ensure_topic()
    beat_at = utc_now() + timedelta(hours=1)
    Heartbeat.objects.create(role="relay", process="p", active=True, since=Now(), beat_at=beat_at)


def probe() -> Any:
    return Client().get("/health/ready")


def test_a_flood_of_probes_takes_no_thread_while_the_broker_hangs(hung: dict[str, str]) -> None:
    with Web(hung, threads=2) as web:
        probes = [lambda: web.get("/health/ready") for _ in range(PROBES)]
        answers = together(*probes, lambda: web.get("/health/live"))
        assert answers.pop().status == 200
        assert {answer.status for answer in answers} == {503}
        assert max(answer.seconds for answer in answers) < PROBES, "each would wait for 5 s"
        wait_until(
            lambda: web.get("/health/ready").json()["failing"] == {"bus": "BusError"},
            "the look ends, and names the broker",
        )


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_of_a_cluster_are_answered_in_production(
    sqlite: Mode, settings: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come over plain HTTP, to the address of a pod."""
    monkeypatch.setattr(health, "FIRST_LOOK_S", 30)
    leading()
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["postlog.example"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    answer = Client(headers={"Host": "10.1.2.3:8000"}).get(path)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("path", ["/", "/api/v1/", "/health/live/x", "/health/", "/static/x"])
def test_nothing_else_is_answered_over_plain_http_or_for_another_host(
    sqlite: Mode, settings: Any, path: str
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["postlog.example"]
    assert Client(headers={"Host": "postlog.example"}).get(path).status_code == 301
    assert Client(headers={"Host": "10.1.2.3:8000"}).get(path).status_code == 400
    assert Client(headers={"Host": "10.1.2.3:8000"}).get(path, secure=True).status_code == 400


def test_probes_only_ask(sqlite: Mode) -> None:
    assert Client().head("/health/live").status_code == 200
    assert Client().post("/health/live").status_code == 404


def test_while_there_is_no_look_yet_it_is_not_ready_and_says_so(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FIRST_LOOK_S", 0)
    answer = probe()
    assert answer.status_code == 503
    assert "none has ended yet" in answer.json()["failing"]["look"]


def test_a_look_that_is_too_old_is_not_trusted(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LOOK_EVERY_S", 3_600)
    leading()
    assert ready().status_code == 200
    looker = health._looking._looker
    assert looker is not None
    looker.last = health.Look(time.monotonic() - health.TOO_OLD_S - 1, {})
    looker.asking = "bus"
    answer = probe()
    assert answer.status_code == 503
    said = answer.json()["failing"]["look"]
    assert re.fullmatch(r"the last one ended \d+ s ago: waiting for bus", said)


def test_it_looks_again_by_itself(database: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_EVERY_S", 0.1)
    current_bus().ensure_topic()
    assert "relay" in ready().json()["failing"]
    looker = health._looking._looker
    leading()
    wait_until(lambda: probe().status_code == 200, "it is ready without being started again")
    assert health._looking._looker is looker


def test_the_request_that_begins_the_looking_waits_for_a_result(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FIRST_LOOK_S", 30)
    leading()
    assert probe().status_code == 200


def test_a_looker_of_before_a_fork_is_replaced(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FIRST_LOOK_S", 30)
    leading()
    monkeypatch.setattr(health._looking, "_looker", health.Looker())  # its thread does not run
    assert probe().status_code == 200


def test_what_is_being_asked_is_known_meanwhile(sqlite: Mode) -> None:
    looker = health.Looker()
    assert looker._ask("bus", lambda: looker.asking) == "bus"


def test_migrations_are_read_once_and_again_after_a_fault(database: Mode) -> None:
    def fail() -> str:
        raise OSError("no")

    current_bus().ensure_topic()
    looker = health.Looker()
    assert "database read" not in looker._failing()
    with connections["read"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'queries_app'")
    assert "database read" not in looker._failing(), "that would be expensive"
    assert looker._ask("bus", fail) == "OSError"
    assert "migrations to apply: manage.py migrate" in looker._failing()["database read"]


def test_partitions_that_nobody_reads_are_not_ready(database: Mode) -> None:
    leading()
    mediator.send(NewPost(message="Hi"), Context(actor="alice"))
    deliver_all()
    nobody_moved_for(20)
    assert ready().status_code == 200, "it is only level"
    mediator.send(NewPost(message="Hi"), Context(actor="alice"))
    publish_all()
    nobody_moved_for(20)
    answer = ready()
    assert answer.status_code == 503
    assert "stalled" in answer.json()["failing"]["lag"]


def test_a_probe_asks_nobody_and_may_be_answered_again_for_a_second(
    sqlite: Mode, django_assert_num_queries: Any
) -> None:
    leading()
    consume_all()
    wait_until(lambda: probe().status_code == 200, "it is ready")
    for alias in ("default", "read"):
        with django_assert_num_queries(0, using=alias):
            answers = [probe() for _ in range(20)]
    assert {answer["Cache-Control"] for answer in answers} == {"max-age=1"}
