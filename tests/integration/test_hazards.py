"""A topic that can lose history is seen before it does: in the log, status, console, checks."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.bus import current_bus, hazards
from messaging.bus.embedded import EmbeddedBus
from messaging.console import dashboard
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.projections.registry import PROJECTIONS
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from tests.support.console import signed_in
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import Worker, here, manage
from tests.support.relaying import publish_all
from tests.support.settings import postlog

ALICE = Context(actor="alice")
UNSAFE = {
    "retention.ms": "604800000",
    "retention.bytes": "1000000000",
    "cleanup.policy": "compact",
    "unclean.leader.election.enable": "true",
    "max.message.bytes": "500000",
}


@contextmanager
def admin(mode: Mode) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])
    try:
        yield client
    finally:
        client.close()


def alter(mode: Mode, **configuration: str) -> None:
    """`_` stands for a dot."""
    configs: dict[str, Any] = {key.replace("_", "."): v for key, v in configuration.items()}
    with admin(mode) as client:
        client.alter_configs([ConfigResource("topic", mode.env["KAFKA_TOPIC"], configs)])


def add_partitions(mode: Mode, count: int = 13) -> None:
    with admin(mode) as client:
        client.create_partitions({mode.env["KAFKA_TOPIC"]: count})
    wait_until(lambda: f"has {count} partitions" in "".join(current_bus().hazards()), "added")


def test_a_topic_that_was_just_made_has_no_hazard(mode: Mode) -> None:
    current_bus().ensure_topic()
    assert current_bus().hazards() == []
    assert here("status").returncode == 0


def test_a_topic_that_is_not_there_has_no_hazard(postgresql: Mode) -> None:
    assert current_bus().hazards() == []


def test_each_unsafe_configuration_is_said_everywhere(postgresql: Mode) -> None:
    current_bus().ensure_topic()
    alter(postgresql, **{key.replace(".", "_"): value for key, value in UNSAFE.items()})
    wait_until(lambda: len(current_bus().hazards()) == len(UNSAFE), "the broker says so")
    deployed = {**postgresql.env, "DEBUG": "off", "SECRET_KEY": "x" * 60, "ALLOWED_HOSTS": "x"}
    places = {
        "status": here("status").stdout,
        "console": signed_in(is_superuser=True).get("/admin/console/").content.decode(),
        "check": manage(deployed, "check", "--deploy").stderr,
    }
    for place, text in places.items():
        for key, value in UNSAFE.items():
            assert f"({key}={value})" in text, place
    assert "postlog.W010" in places["check"]


@pytest.mark.parametrize("command", [["runrelay"], ["runconsumer", "--no-relay"]])
def test_relay_and_consumer_log_hazards_at_start(postgresql: Mode, command: list[str]) -> None:
    current_bus().ensure_topic()
    alter(postgresql, retention_ms="604800000")
    with Worker(postgresql.env, *command) as worker:
        wait_until(lambda: "(retention.ms=604800000)" in worker.output(), "it is logged")
        assert worker.stop() == 0


def test_hazards_are_asked_for_again_and_again(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    current_bus().ensure_topic()
    monkeypatch.setattr(hazards, "LOOK_EVERY_S", 0.05)
    stop = threading.Event()
    thread = threading.Thread(target=hazards.watch_hazards, args=(current_bus(), stop))
    with caplog.at_level(logging.WARNING, "postlog.log"):
        thread.start()
        try:
            alter(postgresql, cleanup_policy="compact")
            wait_until(lambda: "is compacted" in caplog.text, "it is logged")
        finally:
            stop.set()
            thread.join(30)


class AwayAtFirst(EmbeddedBus):
    """A log that refuses, does not answer, and then tells of a hazard."""

    def __init__(self) -> None:
        super().__init__("topic", 12)
        self.errors: list[Exception] = [HistoryMismatch("no topic"), BusError("nobody answers")]

    def hazards(self) -> list[str]:
        if self.errors:
            raise self.errors.pop()
        return ["It can lose history."]


def test_a_log_that_is_away_is_asked_again_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hazards, "RETRY_S", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=hazards.watch_hazards, args=(AwayAtFirst(), stop))
    with caplog.at_level(logging.WARNING, "postlog.log"):
        thread.start()
        try:
            wait_until(lambda: "It can lose history." in caplog.text, "it is logged")
        finally:
            stop.set()
            thread.join(30)
    assert not thread.is_alive(), "it stops at once, however long it would wait"


def test_the_lag_is_known_to_who_may_not_ask_for_a_topics_settings(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: EmbeddedBus) -> list[str]:
        raise BusError("not authorized")

    monkeypatch.setattr(EmbeddedBus, "hazards", refused)
    mediator.send(NewPost(message="waits"), ALICE)
    publish_all()
    found = current_status()
    assert found.lag == len(PROJECTIONS)
    assert found.log_fault == "BusError: not authorized"


def test_a_check_says_when_the_log_cannot_be_asked(sqlite: Mode) -> None:
    away = {**sqlite.env, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done = manage({**away, "DEBUG": "off", "SECRET_KEY": "x" * 60}, "check", "--deploy")
    assert "postlog.I001" in done.stderr
    assert done.returncode == 0, done.stderr


# --- partitions ------------------------------------------------------------------------------


def test_added_partitions_stop_nobody_and_are_passed_over(postgresql: Mode) -> None:
    post_id = mediator.send(NewPost(message="before"), ALICE).ids["post_id"]
    with Worker(postgresql.env, "runconsumer") as first:
        wait_until(lambda: Post.objects.filter(version=1).exists(), "it is shown")
        add_partitions(postgresql)
        with Worker(postgresql.env, "runconsumer", "--no-relay") as second:  # and a rebalance
            wait_until(lambda: "posts: partitions [" in second.output(), "it has partitions")
            assert "12]" not in first.output() + second.output()
            mediator.send(EditMessage(post_id=post_id, message="after"), ALICE)
            wait_until(lambda: Post.objects.filter(version=2).exists(), "it is shown")
            assert second.stop() == 0
        assert first.stop() == 0
    with Worker(postgresql.env, "runconsumer") as restarted:
        for number in range(20):
            mediator.send(NewPost(message=f"later {number}"), ALICE)
        wait_until(lambda: Post.objects.count() == 21, "they are shown")
        wait_until(lambda: "has 13 partitions" in restarted.output(), "it is logged")
        wait_until(lambda: current_status().lag == 0, "it is level")
        assert restarted.stop() == 0
    assert set(current_bus().end_offsets()) == set(range(12))
    assert "has 13 partitions" in here("status").stdout
    assert manage(postgresql.env, "verify").returncode == 0


def test_records_beyond_the_configured_partitions_are_refused(postgresql: Mode) -> None:
    """The setting is wrong: half of the history would not be read."""
    mediator.send(NewPost(message="first"), ALICE)
    publish_all()
    server, topic = postgresql.env["KAFKA_BOOTSTRAP_SERVERS"], postgresql.env["KAFKA_TOPIC"]
    producer = KafkaProducer(bootstrap_servers=server)
    producer.send(topic, b"x", partition=7).get(30)
    producer.close()
    with postlog(kafka={"partitions": 6}):
        with pytest.raises(
            HistoryMismatch, match=r'has records in partitions .*7.*"partitions"] says 6'
        ):
            current_bus().identity()
        current_bus().close()


# --- a log that refuses or does not answer ---------------------------------------------------


def test_status_says_what_the_databases_know_when_the_log_is_away(sqlite: Mode) -> None:
    mediator.send(NewPost(message="stored"), ALICE)
    away = {**sqlite.env, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done = manage(away, "status")
    assert done.returncode == 1
    for line in ("events stored              1", "outbox waiting             1",
                 "lag                  unknown", "projection posts: generation 1"):  # fmt: skip
        assert line in done.stdout
    assert "The log could not be asked, so the lag is unknown. BusError" in done.stderr
    found = json.loads(manage(away, "status", "--json").stdout)
    assert (found["events"], found["outbox"], found["lag"]) == (1, 1, None)
    assert "BusError" in found["log_fault"]


def test_status_says_what_the_databases_know_when_the_log_refuses(postgresql: Mode) -> None:
    mediator.send(NewPost(message="shown"), ALICE)
    publish_all()
    consume_all()
    with postlog(kafka={"partitions": 13}):
        done = here("status")
        current_bus().close()
    assert done.returncode == 1
    assert "events stored              1" in done.stdout
    assert 'has 12 partitions, POSTLOG["KAFKA"]["partitions"] says 13' in done.stderr


def test_the_console_asks_for_hazards_once_a_minute_and_shows_them_meanwhile(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [["It can lose history."], []]
    monkeypatch.setattr(EmbeddedBus, "hazards", lambda _: found.pop(0))
    current_bus().ensure_topic()
    monkeypatch.setattr(dashboard, "HAZARDS_FRESH_S", 10**9)  # the minute does not end
    for _ in range(3):
        assert dashboard.log_state().hazards == ["It can lose history."]
    monkeypatch.setattr(dashboard, "HAZARDS_FRESH_S", 10**-9)  # the next one has begun
    assert dashboard.log_state().hazards == []
