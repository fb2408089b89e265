"""Sessions on PostgreSQL: what they may hold for how long, and how a lost one is reported."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections

from commands_app.commands import LikePost, NewPost
from config.env import database_of
from contracts.posts import PostLiked
from messaging import checks, mediator
from messaging.dialect import sessions
from messaging.dialect.sessions import limit_waits_for_locks, parameters
from messaging.eventstore import scan
from messaging.eventstore.models import Event, Stream
from messaging.message import Context
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Applier
from messaging.testing.waiting import wait_until
from messaging.transient import write_fault
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.api import Api, browser, errors
from tests.support.consuming import consume_all
from tests.support.modes import Mode, switched, use
from tests.support.processes import ROOT, environment, here
from tests.support.rebuilding import rebuild
from tests.support.relaying import publish_all
from tests.support.settings import postlog

ALICE = Context(actor="alice")


@pytest.fixture
def impatient(postgresql: Mode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mode]:
    """Sessions that are ended after two seconds in an idle transaction."""
    monkeypatch.setenv("IDLE_TRANSACTION_SECONDS", "2")
    with switched(postgresql.env):
        yield postgresql


def new_post() -> UUID:
    return mediator.send(NewPost(message="Hi"), ALICE).stream_id


def backend(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def seen(sql: str, *values: object) -> Any:
    """The first value of a row, seen by a session of its own."""
    other = psycopg2.connect(**parameters(connections["default"].settings_dict))
    try:
        with other.cursor() as cursor:
            cursor.execute(sql, values)
            row = cursor.fetchone()
            return row and row[0]
    finally:
        other.close()


def has_ended(pid: int) -> bool:
    return not seen("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid)


def test_every_session_notices_a_dead_peer_and_the_url_has_the_last_word() -> None:
    config = database_of("postgresql://me@db/name?keepalives_idle=99&options=-c%20work_mem%3D1MB")
    options = config["OPTIONS"]
    assert (options["keepalives"], options["keepalives_idle"]) == (1, 99)
    assert options["tcp_user_timeout"] == 30_000
    assert options["connect_timeout"] == 10
    assert "idle_in_transaction_session_timeout=15s" in options["options"]
    assert options["options"].endswith("-c work_mem=1MB")


def test_of_several_servers_the_one_that_takes_writes_is_chosen_by_default() -> None:
    url = "postgresql://me@db1:5432,db2:5432/name"
    assert database_of(url)["OPTIONS"]["target_session_attrs"] == "read-write"
    standby = database_of(f"{url}?target_session_attrs=prefer-standby")
    assert standby["OPTIONS"]["target_session_attrs"] == "prefer-standby"
    assert "target_session_attrs" not in database_of("postgresql://me@db1/name")["OPTIONS"]


def test_web_processes_limit_their_waits_for_locks(postgresql: Mode) -> None:
    def limit() -> str:
        with connections["read"].cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])

    assert limit() == "0"
    with switched(postgresql.env):
        limit_waits_for_locks(settings.LOCK_TIMEOUT_SECONDS)
        assert limit() == "5s"


def test_the_web_server_limits_its_waits_for_locks(postgresql: Mode) -> None:
    program = (
        "import config.wsgi; from django.db import connections; "
        "cursor = connections['default'].cursor(); cursor.execute('SHOW lock_timeout'); "
        "print(cursor.fetchone()[0])"
    )
    env = environment({**postgresql.env, "LOCK_TIMEOUT_SECONDS": "7"})
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.stdout == "7s\n", done.stderr


@pytest.mark.parametrize("alias", ["default", "read"])
def test_a_primary_that_is_read_only_is_a_fault_and_its_session_is_dropped(
    postgresql: Mode, alias: str
) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    assert write_fault(alias, replica_will_do=True) == "read-only"
    assert write_fault(alias, replica_will_do=True) == "", "a new session takes writes"


def test_a_server_that_is_away_is_no_pooler(postgresql: Mode) -> None:
    """Whoever needs it waits for it."""
    before = {alias: connections.settings[alias] for alias in connections}
    use({alias: {**config, "PORT": "1"} for alias, config in before.items()})
    try:
        sessions.require_that_they_last()
        assert checks.sessions_last(databases=["default", "read"]) == []
    finally:
        use(before)


def test_a_database_for_locks_is_not_asked_where_no_lock_is_taken_in_it(sqlite: Mode) -> None:
    away = database_of("postgresql://me@127.0.0.1:1/name")
    with postlog(LOCK_DATABASE=away):
        assert list(sessions.faults()) == []


def idle_until_it_is_ended(statement: str) -> Callable[..., Any]:
    """Behind that statement, the transaction is idle until PostgreSQL ends it."""

    def wait(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if statement in sql:
            pid = backend("default")
            wait_until(lambda: has_ended(pid), "PostgreSQL ends the session")
        return answer

    return wait


def test_a_command_whose_session_is_ended_is_503_and_can_be_sent_again(impatient: Mode) -> None:
    post_id, alice = new_post(), Api("alice")
    with connection.execute_wrapper(idle_until_it_is_ended("EXECUTE postlog_load")):
        answer = alice.send("like-post", post_id=str(post_id))
    assert (answer.status_code, errors(answer)) == (503, [("unavailable", None)])
    assert answer.headers["Retry-After"] == "1"
    assert alice.send("like-post", post_id=str(post_id)).status_code == 200
    assert Event.objects.filter(stream_id=post_id).count() == 2


def test_a_page_whose_session_is_ended_is_503(impatient: Mode) -> None:
    post_id, bob = new_post(), browser("bob")
    with connection.execute_wrapper(idle_until_it_is_ended("EXECUTE postlog_load")):
        token = bob.get("/accounts/login/").cookies["csrftoken"].value
        answer = bob.post(f"/posts/{post_id}/like/", headers={"X-CSRFToken": token})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_the_scan_of_all_events_may_pause_for_longer(
    impatient: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "READ", 1)
    for _ in range(3):
        new_post()
    pid = backend("default")
    idle_for = (
        "SELECT extract(epoch FROM now() - state_change) > 3 FROM pg_stat_activity WHERE pid = %s"
    )
    with scan.stored_events(["post"]) as events:
        next(events)
        wait_until(lambda: seen(idle_for, pid), "the scan has paused for long")
        assert len(list(events)) == 2


def test_a_migration_may_compute_for_longer(impatient: Mode) -> None:
    assert here("migrate", "--verbosity", "0").returncode == 0
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            assert cursor.fetchone()[0] == "0"


def test_a_process_that_takes_no_answer_is_ended_too(impatient: Mode) -> None:
    """It is not idle: PostgreSQL waits for it to take what it has asked for."""
    post_id = new_post()
    config = connections["default"].settings_dict
    options = config["OPTIONS"]["options"]
    frozen = psycopg2.connect(**parameters(config), options=options, async_=1)
    wait_until(lambda: frozen.poll() == psycopg2.extensions.POLL_OK, "it is connected")
    held = f"SELECT 1 FROM messaging_stream WHERE stream_id = '{post_id}' FOR UPDATE"
    frozen.cursor().execute(f"BEGIN; {held}; SELECT repeat('x', 100000000)")
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"
    blocked += " AND datname = current_database()"
    wait_until(lambda: seen(blocked), "PostgreSQL waits for it")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20s'")  # a failure must not hang
    mediator.send(LikePost(post_id=post_id), ALICE)
    frozen.close()
    assert Stream.objects.get(pk=post_id).version == 2


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("source", ["log", "store"])
def test_a_projection_that_finds_its_database_away_parks_nothing(
    database: Mode, error: type[Exception], source: str
) -> None:
    post_id = new_post()
    mediator.send(LikePost(post_id=post_id), ALICE)
    publish_all()
    sound, failures = posts.appliers[PostLiked], [error("it is away")]

    def away_at_first(post: Post, event: PostLiked, rows: object) -> None:
        if failures:
            raise failures.pop()
        sound.apply(post, event, rows)

    posts.appliers[PostLiked] = Applier(away_at_first, sound.row_keys)
    try:
        if source == "log":
            with pytest.raises(error):
                consume_all()
        consume_all() if source == "log" else rebuild(posts, source)
    finally:
        posts.appliers[PostLiked] = sound
    assert not failures
    assert not DeadLetter.objects.exists()
    assert Post.objects.filter(version=2, likes=1).exists()
