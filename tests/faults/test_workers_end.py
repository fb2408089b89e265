"""Workers end when they are asked to, and when they are stuck, whatever hangs behind them."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
import pytest

from commands_app.commands import NewPost
from dev.kafka_server import KafkaServer
from dev.server import temporary_folder
from messaging import mediator
from messaging.dialect.sessions import answer
from messaging.message import Context
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from tests.support.modes import Mode
from tests.support.processes import Worker
from tests.support.proxy import Proxy
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
IN_TIME_S = 9  # supervisors kill after 10 s. A worker gives itself 4, of a machine that is its own


@contextmanager
def behind_a_proxy(mode: Mode) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """The environment of a worker that reaches PostgreSQL through a proxy."""
    server = urlsplit(mode.env["WRITE_DATABASE_URL"])
    assert server.hostname
    assert server.port
    with Proxy(server.hostname, server.port) as proxy:
        ports = f":{server.port}/", f":{proxy.port}/"
        names = ("WRITE_DATABASE_URL", "READ_DATABASE_URL")
        yield proxy, {**mode.env, **{name: mode.env[name].replace(*ports) for name in names}}


def seconds_to_stop(worker: Worker) -> float:
    begun = time.monotonic()
    assert worker.stop() == 0, "to be asked is no failure"
    return time.monotonic() - begun


def one_post_is_shown() -> None:
    before = Post.objects.count()
    mediator.send(NewPost(message="Hi"), ALICE)
    wait_until(lambda: Post.objects.count() > before, "the post is shown", 60)


@pytest.mark.parametrize("command", ["runrelay", "runconsumer"])
def test_a_worker_stops_in_time_though_postgresql_hangs(postgresql: Mode, command: str) -> None:
    with behind_a_proxy(postgresql) as (proxy, env), Worker(env, command) as worker:
        wait_until(lambda: "relay: active" in worker.output(), "it leads")
        if command == "runconsumer":
            one_post_is_shown()
        proxy.stall()
        wait_until(proxy.holds_back, "it waits for an answer")
        assert seconds_to_stop(worker) < IN_TIME_S
        assert "Stopped without waiting" in worker.output()


def test_a_rebuild_that_is_stopped_while_postgresql_hangs_is_not_done(postgresql: Mode) -> None:
    """Who asked for it must not take it for done."""
    mediator.send(NewPost(message="Hi"), ALICE)
    publish_all()
    url = postgresql.env["READ_DATABASE_URL"]
    with closing(psycopg2.connect(url)) as holder, closing(psycopg2.connect(url)) as looker:
        holder.cursor().execute("LOCK TABLE queries_app_post IN EXCLUSIVE MODE")
        looker.autocommit = True
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        waiting += " AND datname = current_database()"
        with Worker(postgresql.env, "rebuild", "posts") as rebuild:
            wait_until(lambda: answer(looker, waiting), "it waits for its rows", 60)
            assert rebuild.stop() == 1
            assert "Stopped without waiting" in rebuild.output()


def test_workers_stop_in_time_though_the_broker_hangs(postgresql: Mode) -> None:
    kafka = KafkaServer(temporary_folder("frozen-kafka"))
    kafka.start()
    env = {**postgresql.env, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    try:
        with Worker(env, "runrelay") as relay, Worker(env, "runconsumer", "--no-relay") as consumer:
            one_post_is_shown()
            # The consumer may be quicker to show it than the relay to hear that the log has it.
            wait_until(lambda: outbox.waiting() == 0, "the relay knows that it is published")
            assert kafka.process
            kafka.process.send_signal(signal.SIGSTOP)
            mediator.send(NewPost(message="while it hangs"), ALICE)
            wait_until(lambda: outbox.waiting() == 1, "it waits for the broker")
            assert max(seconds_to_stop(relay), seconds_to_stop(consumer)) < IN_TIME_S
    finally:
        kafka.wipe()


def test_a_worker_that_is_stuck_in_a_dead_connection_ends_with_the_reason(
    postgresql: Mode,
) -> None:
    patience = {"WORKER_STALL_SECONDS": "15"}
    with (
        behind_a_proxy(postgresql) as (proxy, env),
        Worker(env | patience, "runconsumer") as worker,
    ):
        wait_until(lambda: "relay: active" in worker.output(), "it leads")
        one_post_is_shown()
        proxy.stall()
        assert worker.wait() == 1
        assert re.search(r"\([\w/]+\.py:\d+\) has not moved for 15 s", worker.output())


def test_a_worker_that_was_frozen_itself_is_not_stuck(postgresql: Mode) -> None:
    env = {**postgresql.env, "WORKER_STALL_SECONDS": "15"}
    with Worker(env, "runconsumer") as worker:
        one_post_is_shown()
        begun = time.monotonic()
        worker.freeze()
        wait_until(lambda: time.monotonic() - begun > 18, "longer than the limit")
        worker.thaw()
        one_post_is_shown()
        assert worker.stop() == 0


def test_a_worker_that_waits_for_a_lock_is_not_stuck(postgresql: Mode) -> None:
    """While a rebuild switches, which may take long, the live checkpoints are locked."""
    env = {**postgresql.env, "WORKER_STALL_SECONDS": "15"}
    url = postgresql.env["READ_DATABASE_URL"]
    with Worker(env, "runconsumer") as worker:
        one_post_is_shown()
        with closing(psycopg2.connect(url)) as switch:
            switch.cursor().execute("SELECT 1 FROM messaging_checkpoint FOR UPDATE")
            mediator.send(NewPost(message="meanwhile"), ALICE)
            wait_until(lambda: "lock timeout. Trying again" in worker.output(), "it looks", 60)
        one_post_is_shown()
        assert worker.stop() == 0
