"""A PostgreSQL that is read-only for a while, a primary that moves, and reading from a replica."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands_app.commands import NewPost
from dev.postgres_server import ALIASES, PostgresServer
from dev.server import temporary_folder
from messaging import mediator
from messaging.bus import current_bus
from messaging.eventstore.models import Event
from messaging.message import Context
from messaging.monitoring.health import Looker
from messaging.projections.models import DeadLetter
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from messaging.transient import drop_connections
from queries_app.models import Post
from tests.support.modes import Mode, switched
from tests.support.modes import postgresql as on_the_server
from tests.support.processes import Worker, manage
from tests.support.replica import ReplicaServer
from tests.support.topic import assert_the_log_tells_the_store
from tests.support.web import Web

ALICE = Context(actor="alice")
THREADS = 2  # of a web server


def names(mode: Mode) -> list[str]:
    return [mode.env[name].rpartition("/")[2] for name in ALIASES.values()]


def end_sessions(database: str) -> None:
    on_the_server(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    )


@contextmanager
def read_only(mode: Mode) -> Iterator[None]:
    """Both databases, as a managed server makes them for a switch-over: sessions end at its
    beginning, and those that were opened meanwhile stay read-only for ever."""
    for name in names(mode):
        on_the_server(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        end_sessions(name)
    try:
        yield
    finally:
        for name in names(mode):
            on_the_server(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


def published_and_shown() -> bool:
    return Post.objects.count() == Event.objects.count()


def test_a_database_that_is_read_only_for_a_while_is_waited_for(postgresql: Mode) -> None:
    with (
        Worker(postgresql.env, "runconsumer") as worker,
        Web(postgresql.env, threads=THREADS) as web,
    ):
        assert web.send("new-post", message="before").status == 201
        wait_until(published_and_shown, "the post is shown", 60)
        wait_until(lambda: web.get("/health/ready").status == 200, "all is ready", 60)
        with read_only(postgresql):
            for _ in range(6):  # each thread, and with sessions from before as with new ones
                answer = web.send("new-post", message="meanwhile")
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert web.get("/api/v1/queries/find-all-posts/").status == 200
            assert web.get("/").status == 200
            wait_until(
                lambda: (
                    web.get("/health/ready").json()["failing"].get("database default")
                    == "read-only"
                ),
                "it is not ready, and says why",
            )
            wait_until(lambda: "read-only" in worker.output(), "the worker says why it waits")
        drop_connections()
        # Each thread may hold a session from meanwhile, and drops it when it finds that out.
        afterwards = [web.send("new-post", message="afterwards").status for _ in range(12)]
        assert set(afterwards) <= {201, 503}
        assert afterwards.count(503) <= THREADS
        wait_until(published_and_shown, "all is level", 60)
        wait_until(lambda: web.get("/health/ready").status == 200, "all is ready", 60)
        assert worker.stop() == 0
    assert Event.objects.count() == 1 + afterwards.count(201)
    assert not DeadLetter.objects.exists()
    assert_the_log_tells_the_store()


def test_a_relay_publishes_nothing_that_it_could_not_delete(postgresql: Mode) -> None:
    """Else each of its attempts would put the same events into the log again."""
    mediator.send(NewPost(message="goes out"), ALICE)
    with Worker(postgresql.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published", 60)
        assert relay.stop() == 0
    mediator.send(NewPost(message="waits"), ALICE)
    each_time = {**postgresql.env, "LOG_LEVEL": "DEBUG"}
    with read_only(postgresql), Worker(each_time, "runrelay") as relay:
        wait_until(lambda: relay.output().count("Trying again") >= 3, "it has tried for some time")
        assert relay.stop() == 0
    drop_connections()
    assert sum(current_bus().end_offsets().values()) == 1


@contextmanager
def pair() -> Iterator[tuple[PostgresServer, ReplicaServer]]:
    """A primary with both databases, and its replica."""
    primary = PostgresServer(temporary_folder("primary"))
    primary.start()
    replica = ReplicaServer(temporary_folder("replica"), primary)
    try:
        for alias in ALIASES:
            primary.create_database(alias)
        urls = {env: primary.url(alias) for alias, env in ALIASES.items()}
        assert manage(urls, "migrate", "--verbosity", "0").returncode == 0
        replica.start()
        yield primary, replica
    finally:
        replica.wipe()
        primary.wipe()


@pytest.mark.timeout(600)
def test_workers_and_web_find_the_new_primary(sqlite: Mode, tmp_path: Path) -> None:
    with pair() as (primary, replica):
        hosts = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{replica.port}"
        env = {name: f"{hosts}/{alias}" for alias, name in ALIASES.items()}
        env |= {"KAFKA_BOOTSTRAP_SERVERS": "", "DEBUG": "on"}
        with switched(env), Worker(env, "runconsumer") as worker, Web(env, threads=2) as web:
            assert web.send("new-post", message="before").status == 201
            wait_until(published_and_shown, "the post is shown", 60)
            wait_until(replica.has_all, "the replica is level")
            primary.stop()
            assert web.send("new-post", message="meanwhile").status == 503
            replica.promote()
            wait_until(
                lambda: web.send("new-post", message="afterwards").status == 201, "a primary"
            )
            drop_connections()
            wait_until(published_and_shown, "the post is shown by the same worker", 60)
            assert worker.stop() == 0


@pytest.mark.timeout(600)
def test_a_web_process_reads_from_a_replica(sqlite: Mode) -> None:
    with pair() as (primary, replica):
        urls = {name: primary.url(alias) for alias, name in ALIASES.items()}
        env = urls | {"KAFKA_BOOTSTRAP_SERVERS": "", "DEBUG": "on"}
        reading = env | {"READ_DATABASE_URL": replica.url("read")}
        with switched(env), Worker(env, "runconsumer"), Web(reading, threads=2) as web:
            for number in range(10):
                answer = web.send("new-post", message=f"post {number}")
                token = answer.headers["Consistency-Token"]
                wait_until(
                    lambda: (
                        web.get(  # called at once
                            f"/api/v1/queries/find-all-posts/?consistency_token={token}"  # noqa: B023
                        ).status
                        == 200
                    ),
                    "the replica has it",
                )
                shown = web.get(f"/api/v1/queries/find-all-posts/?consistency_token={token}")
                assert shown.json()["results"][0]["message"] == f"post {number}"
            wait_until(lambda: web.get("/health/ready").status == 200, "a replica is ready")
            with switched(reading):
                assert "database read" not in Looker()._failing()
            with switched(env | {"WRITE_DATABASE_URL": replica.url("default")}):
                assert Looker()._failing()["database default"] == "read-only"
            refused = manage(reading, "rebuild", "posts")
            assert refused.returncode == 1
            assert "Ask on the primary" in refused.stderr


def test_a_file_of_commands_waits_for_the_primary(postgresql: Mode, tmp_path: Path) -> None:
    line = {"command": "NewPost", "actor": "alice", "post": "first", "message": "Hi"}
    file = tmp_path / "commands"
    file.write_text(json.dumps(line))
    with read_only(postgresql):
        sender = Worker(postgresql.env, "sendcommands", str(file))
        with sender:
            wait_until(lambda: "Trying again" in sender.output(), "it waits")
            for name in names(postgresql):
                on_the_server(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
            assert sender.wait() == 0
    drop_connections()
    assert Event.objects.count() == 1
