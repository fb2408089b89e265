"""The log loses its tail and is filled again: it is seen, nothing is applied, and the night ends
with the commands that the messages name."""

import gc
import os
import re
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from dev.kafka_server import KafkaServer
from dev.server import temporary_folder
from messaging.bus import current_bus
from messaging.eventstore.models import Acknowledged
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.monitoring.models import OperatorAction
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving.live import live
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.freezing import freeze_between_writes
from tests.support.losing import (
    a_post_in_each_partition,
    copy_of_write_database,
    drained,
    lose_tail,
    put_back,
)
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import Worker, manage
from tests.support.relaying import publish_all


def consumed(mode: Mode) -> None:
    with Worker(mode.env, "runconsumer") as consumer:
        wait_until(lambda: "posts: partitions" in consumer.output(), "it is at work", 60)
        wait_until(drained, "all is consumed", 60)
        assert consumer.stop() == 0


def shown() -> set[UUID]:
    connections["read"].close()
    return set(live(posts, Post).values_list("stream_id", flat=True))


def halted(mode: Mode, *command: str) -> str:
    """What a worker says that finds the log to be another; it applies and publishes nothing."""
    before = shown(), current_bus().end_offsets()
    with Worker(mode.env, *command) as worker:
        assert worker.wait(60) == 1, f"{command} refuses to go on"
        message = " ".join(worker.output().split())
    assert "The log has lost its tail" in message
    assert re.search(r"partition \d+, offset \d+", message)
    assert (shown(), current_bus().end_offsets()) == before
    return message


def test_a_write_database_that_was_put_back_with_the_embedded_log(
    sqlite: Mode, tmp_path: Path
) -> None:
    kept = a_post_in_each_partition()
    consumed(sqlite)
    copy = copy_of_write_database(sqlite, tmp_path)
    lost = a_post_in_each_partition()
    consumed(sqlite)
    put_back(sqlite, copy)
    new = a_post_in_each_partition(2)

    with Worker(sqlite.env, "runrelay") as relay:  # its store and its log agree
        wait_until(lambda: outbox.waiting() == 0, "it publishes")
        assert relay.stop() == 0
    ends = current_bus().end_offsets()
    for row in Checkpoint.objects.all():
        assert row.offset < ends[row.partition], "the offset alone does not tell"
    halted(sqlite, "runconsumer", "--no-relay")
    assert shown() == {*kept, *lost}

    refused = manage(sqlite.env, "rebuild", "posts", "--from", "store")
    assert refused.returncode == 1
    assert "Readers have seen version 1" in refused.stderr
    named = re.findall(r"`manage.py (rebuild [^`]+)`", " ".join(refused.stderr.split()))
    assert named[-1] == "rebuild posts --from store --accept-going-back"
    for name in PROJECTIONS:
        command = named[-1].replace("posts", name).split()
        done = manage(sqlite.env, *command)
        assert done.returncode == 0, done.stderr
    assert OperatorAction.objects.filter(detail__contains="accept going back").count() == len(
        PROJECTIONS
    )
    consumed(sqlite)
    assert shown() == {*kept, *new}
    assert assert_read_models_equal_the_fold(checkpoints.live_generation("posts")) == 36
    verified = manage(sqlite.env, "verify")
    assert (verified.returncode, verified.stdout) == (0, f"{NO_DIFFERENCE}\n")


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    """One of the test's own, whose disk can be put back."""
    found = KafkaServer(temporary_folder("kafka"))
    try:
        found.start()
        yield found
    finally:
        found.wipe()
        with warnings.catch_warnings():
            # Of the client's attempts while there was no broker: it leaves its sockets open.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def copy_disk(broker: KafkaServer, to: Path) -> None:
    """As a snapshot of a disk has it, while the broker is at work."""
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, broker.process.pid, os.WSTOPPED)
    try:
        shutil.copytree(broker.folder / "data", to)
    finally:
        broker.process.send_signal(signal.SIGCONT)


def put_disk_back(broker: KafkaServer, copy: Path) -> None:
    shutil.rmtree(broker.folder / "data")
    shutil.copytree(copy, broker.folder / "data")


def stopped(broker: KafkaServer) -> None:
    current_bus().close()  # else its client would have to find out first that the broker is away
    broker.stop()


def test_a_brokers_disk_that_was_put_back(
    broker: KafkaServer, django_db_blocker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KAFKA", broker.bootstrap_servers)
    with django_db_blocker.unblock(), fresh_mode("postgresql", "kafka", tmp_path) as mode:
        kept = a_post_in_each_partition()
        consumed(mode)
        copy_disk(broker, tmp_path / "earlier")
        seen = a_post_in_each_partition()
        with Worker(mode.env, "runconsumer", "--no-relay") as frozen:
            publish_all()
            wait_until(drained, "all is consumed", 60)
            frozen.freeze()
            stopped(broker)
            put_disk_back(broker, tmp_path / "earlier")
            broker.start()
            message = halted(mode, "runrelay")
            new = a_post_in_each_partition(2)
            publish_all()  # as a relay did that compared nothing
            frozen.thaw()
            assert frozen.wait(60) == 1, "it sees that the log is another before it applies any"
            assert shown() == {*kept, *seen}
        halted(mode, "runconsumer", "--no-relay")

        first, second, last = dict.fromkeys(re.findall(r"`manage.py ([^`]+)`", message))
        assert last.endswith("--accept-going-back"), "which is not needed: the store has all"
        for command in (first, second):
            done = manage(mode.env, *command.split())
            assert done.returncode == 0, f"{command}: {done.stderr}"
        consumed(mode)
        assert shown() == {*kept, *seen, *new}
        assert assert_read_models_equal_the_fold(checkpoints.live_generation("posts")) == 48
        verified = manage(mode.env, "verify")
        assert (verified.returncode, verified.stdout) == (0, f"{NO_DIFFERENCE}\n")


def test_a_brokers_disk_that_was_put_back_while_a_relay_waited_for_it(
    broker: KafkaServer, django_db_blocker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything else, the relay hears a lower offset than it had been told before."""
    monkeypatch.setenv("TEST_KAFKA", broker.bootstrap_servers)
    with django_db_blocker.unblock(), fresh_mode("postgresql", "kafka", tmp_path) as mode:
        a_post_in_each_partition()
        publish_all()
        copy_disk(broker, tmp_path / "earlier")
        with Worker(mode.env, "runrelay") as relay:
            a_post_in_each_partition(2)
            wait_until(lambda: outbox.waiting() == 0, "all is published", 60)
            before = list(Acknowledged.objects.order_by("partition").values())
            stopped(broker)
            put_disk_back(broker, tmp_path / "earlier")
            a_post_in_each_partition()
            broker.start()
            assert relay.wait(60) == 1
            assert "lost its tail" in relay.output()
        assert outbox.waiting() == 12, "what it could not place stays"
        assert list(Acknowledged.objects.order_by("partition").values()) == before
        halted(mode, "runrelay")


def test_a_consumer_that_was_frozen_meanwhile_applies_nothing(database: Mode) -> None:
    a_post_in_each_partition()
    with Worker(database.env, "runconsumer", "--no-relay") as consumer:
        publish_all()
        ends = current_bus().end_offsets()
        a_post_in_each_partition()
        publish_all()
        wait_until(drained, "all is consumed", 60)
        before = shown()
        freeze_between_writes(consumer)
        lose_tail(ends)
        a_post_in_each_partition(2)
        publish_all()
        asleep(2.5)
        consumer.thaw()
        assert consumer.wait(60) == 1
        assert "The log has lost its tail" in consumer.output()
    assert shown() == before


def asleep(seconds: float) -> None:
    """The consumer judges by how long it was away."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "it is away for long enough")
