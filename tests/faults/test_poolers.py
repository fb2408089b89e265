"""Behind a pooler: it works with POOLED=on, and says what to set without."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from urllib.parse import urlsplit

import psycopg2
import pytest

from config.env import database_of
from dev.postgres_server import ALIASES, PgBouncer, accepts
from dev.server import temporary_folder
from messaging import checks
from messaging.api.file_ids import id_of
from messaging.dialect import sessions
from messaging.dialect.sessions import answer
from messaging.exceptions import Pooled
from messaging.importing.importer import import_events
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.testing.waiting import wait_until
from messaging.workers.leadership import leadership
from tests.support.api import Api
from tests.support.losing import drained
from tests.support.modes import Mode, switched
from tests.support.modes import postgresql as on_the_server
from tests.support.processes import ROOT, Worker, manage
from tests.support.settings import postlog
from tests.support.threads import together
from tests.support.walk import blocks_of

pytestmark = pytest.mark.skipif(
    PgBouncer.program() is None, reason="pgbouncer is not installed and cannot be installed here"
)


PAGE = ROOT / "docs" / "poolers.md"


def of_the_page(language: str, title: str = "", holding: str = "") -> str:
    """The one block of the page."""
    (found,) = [
        one.text
        for one in blocks_of(PAGE)
        if (one.language, one.title) == (language, title) and holding in one.text
    ]
    return found


@contextmanager
def pooler_before(mode: Mode, pool_mode: str = "transaction") -> Iterator[dict[str, str]]:
    """The environment in which both databases are reached through PgBouncer."""
    server = urlsplit(mode.env["WRITE_DATABASE_URL"]).port
    assert server is not None
    pooler = PgBouncer(temporary_folder("test-pgbouncer"), server, pool_mode)
    pooler.start()
    try:
        names = {env: urlsplit(mode.env[env]).path[1:] for env in ALIASES.values()}
        yield {**mode.env, **{env: pooler.url(name) for env, name in names.items()}}
    finally:
        pooler.wipe()


@pytest.fixture
def pooled(postgresql: Mode) -> Iterator[dict[str, str]]:
    with pooler_before(postgresql) as env:
        yield env


@pytest.fixture
def right(postgresql: Mode, pooled: dict[str, str]) -> dict[str, str]:
    """As docs/poolers.md says, with the addresses that there are."""
    here = {
        "postgresql://app@pooler:6432/write": pooled["WRITE_DATABASE_URL"],
        "postgresql://app@pooler:6432/read": pooled["READ_DATABASE_URL"],
        "postgresql://app@postgres:5432/write": postgresql.env["WRITE_DATABASE_URL"],
    }
    page = dict(line.split("=", 1) for line in of_the_page("ini", ".env").splitlines())
    assert set(here) <= set(page.values())
    return {**pooled, **{name: here.get(value, value) for name, value in page.items()}}


HISTORY = [
    b'{"stream": "h", "version": 1, "type": "posts.post_created.v1", "actor": "bob", '
    b'"at": "2019-04-07T15:13:13Z", "data": {"author": "bob", "message": "Hi"}}',
    b'{"stream": "h", "version": 2, "type": "posts.post_liked.v1", "actor": "eve", '
    b'"at": "2019-04-07T15:13:14Z", "data": {"username": "eve"}}',
]


def test_the_whole_path_works_behind_a_pooler(right: dict[str, str], tmp_path: Path) -> None:
    post = {"command": "NewPost", "actor": "alice", "post": "p", "message": "Hi"}
    likes = [{"command": "LikePost", "actor": f"p{n}", "post": "p"} for n in range(40)]
    file = tmp_path / "commands.jsonl"
    file.write_text("\n".join(map(json.dumps, [post, *likes])))
    with Worker(right, "runconsumer") as one, Worker(right, "runconsumer") as other:
        jobs = (["--jobs", "1"], ["--jobs", "2"])
        sent = together(*[partial(manage, right, "sendcommands", *n, str(file)) for n in jobs])
        assert [(s.returncode, s.stderr[-500:]) for s in sent if s.returncode] == []
        with switched(right, pooled=True):
            wait_until(drained, "the likes are published and shown", 60)
            liked = Api("carol").send("like-post", post_id=str(id_of("p"))).json()
            token = {"Consistency-Token": liked["consistency_token"]}
            shown = Api().ask("find-post-by-id", post_id=str(id_of("p")), headers=token)
            assert (shown.status_code, shown.json()["likes"]) == (200, 41)
            assert import_events(HISTORY, lambda _: None).events == len(HISTORY)
            wait_until(drained, "all is published and shown", 60)
        assert _standing(right) == (44, 0, 0, 0)
        rebuilt = manage(right, "rebuild", "posts", "--from", "store")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert "generation 2 is live" in rebuilt.stdout
        verified = manage(right, "verify")
        assert (verified.returncode, verified.stdout) == (0, f"{NO_DIFFERENCE}\n")
        with closing(psycopg2.connect(right["LOCK_DATABASE_URL"])) as session:
            assert answer(session, of_the_page("sql", holding="pg_stat_activity")), (
                "it has the lock"
            )
        leaders = sum("relay: active" in worker.output() for worker in (one, other))
        assert leaders == 1, "a lock has one holder"
        assert (one.stop(), other.stop()) == (0, 0)


def test_a_pooler_with_the_configuration_of_the_page_and_its_role_works(
    postgresql: Mode, tmp_path: Path
) -> None:
    names = {alias: urlsplit(postgresql.env[env]).path[1:] for alias, env in ALIASES.items()}
    role = f"app_{names['default'][:12]}"
    on_the_server(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    server = urlsplit(postgresql.env["WRITE_DATABASE_URL"]).port
    assert server is not None
    try:
        for line in of_the_page("sql", holding="ALTER ROLE").splitlines():
            line = line.replace("ALTER ROLE app", f"ALTER ROLE {role}")
            line = line.replace(
                "ALTER ROLE web IN DATABASE read",
                f'ALTER ROLE {role} IN DATABASE "{names["read"]}"',
            )
            on_the_server(line)
        pooler = Documented(temporary_folder("test-pgbouncer"), server, names, role)
        pooler.start()
        try:
            with closing(psycopg2.connect(pooler.url("read", role, "secret"))) as session:
                asked = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout")
                assert [answer(session, f"SHOW {one}") for one in asked] == ["5s", "15s", "10s"]
                assert answer(session, "SELECT current_database()") == names["read"]
            with pytest.raises(psycopg2.OperationalError, match="SASL authentication failed"):
                psycopg2.connect(pooler.url("write", role, "wrong"))
        finally:
            pooler.wipe()
    finally:
        for name in names.values():
            on_the_server(f'ALTER ROLE {role} IN DATABASE "{name}" RESET ALL')
        on_the_server(f"DROP ROLE {role}")


class Documented(PgBouncer):
    """With the configuration of docs/poolers.md, at the addresses that there are."""

    def __init__(self, folder: Path, server: int, names: dict[str, str], role: str) -> None:
        super().__init__(folder, server, "transaction")
        text = of_the_page("ini", "pgbouncer.ini")
        for name, instead in {
            "host=postgres dbname=write": f"host=127.0.0.1 port={server} dbname={names['default']}",
            "host=postgres dbname=read": f"host=127.0.0.1 port={server} dbname={names['read']}",
            "listen_port = 6432": f"unix_socket_dir =\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}",
            "/etc/pgbouncer/userlist.txt": f"{folder}/users",
        }.items():
            assert name in text, name
            text = text.replace(name, instead)
        self.CONFIG, self._role = text.replace("{", "{{").replace("}", "}}"), role

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "users").write_text(f'"{self._role}" "secret"\n')

    def answers(self) -> bool:
        return accepts(self.url("write", self._role, "secret"))

    def url(self, database: str, role: str = "", password: str = "") -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"


def test_migrate_leaves_nothing_in_the_sessions_of_a_pooler(
    postgresql: Mode, right: dict[str, str]
) -> None:
    name = urlsplit(postgresql.env["WRITE_DATABASE_URL"]).path[1:]
    on_the_server(f"ALTER DATABASE \"{name}\" SET idle_in_transaction_session_timeout = '90s'")
    assert manage(right, "migrate", "--verbosity", "0").returncode == 0
    # Each in a transaction, so that they meet all of the pooler's sessions.
    clients = [psycopg2.connect(right["WRITE_DATABASE_URL"]) for _ in range(PgBouncer.POOL)]
    shown = [answer(one, "SHOW idle_in_transaction_session_timeout") for one in clients]
    assert len({answer(one, "SELECT pg_backend_pid()") for one in clients}) == PgBouncer.POOL
    for one in clients:
        one.close()
    assert set(shown) == {"90s"}


def _standing(env: dict[str, str]) -> tuple[int, ...]:
    now = json.loads(manage(env, "status", "--json").stdout)
    return (now["events"], now["outbox"], now["lag"], now["dead_letters"])


@pytest.mark.parametrize("command", ["runrelay", "runconsumer", "rebuild"])
def test_without_the_settings_workers_refuse_and_say_which(
    pooled: dict[str, str], command: str
) -> None:
    with Worker(pooled, command) as worker:
        assert worker.wait() == 1
        said = worker.output()
        assert 'POSTLOG["LOCK_DATABASE"]' in said
        assert "docs/poolers.md" in said


def test_pooled_without_a_database_for_locks_is_refused(pooled: dict[str, str]) -> None:
    refused = manage({**pooled, "POOLED": "on"}, "runrelay")
    assert refused.returncode == 1
    assert "LOCK_DATABASE_URL" in refused.stderr


@pytest.mark.parametrize("command", ["runrelay", "runconsumer", "rebuild"])
def test_a_database_for_locks_that_is_behind_the_pooler_is_refused(
    right: dict[str, str], pooled: dict[str, str], command: str
) -> None:
    wrong = {**right, "LOCK_DATABASE_URL": pooled["WRITE_DATABASE_URL"]}
    refused = manage(wrong, command)
    assert refused.returncode == 1
    assert 'POSTLOG["LOCK_DATABASE"] leads to a pooler' in refused.stderr


def test_the_check_of_the_databases_finds_a_pooler(pooled: dict[str, str]) -> None:
    assert checks.sessions_last(databases=["default", "read"]) == []
    with switched(pooled):
        found = checks.sessions_last(databases=["default", "read"])
    assert [error.id for error in found] == ["postlog.E006"] * 2
    with switched(pooled, pooled=True), postlog(LOCK_DATABASE=None):
        found = checks.sessions_last(databases=["default", "read"])
    assert ["so locks would not hold" in error.msg for error in found] == [True, True]
    locks = database_of(pooled["WRITE_DATABASE_URL"])
    with switched(pooled, pooled=True), postlog(LOCK_DATABASE=locks):
        [error] = checks.sessions_last(databases=["default", "read"])
    assert "LOCK_DATABASE" in error.msg, "the locks too"


def test_no_lock_is_taken_through_a_pooler(pooled: dict[str, str]) -> None:
    """Whatever was checked at the start: the sessions of two holders would be one."""
    with switched(pooled):
        lock = leadership("relay", "default")
        with pytest.raises(Pooled, match="LOCK_DATABASE"):
            lock.acquire()


def test_a_pooler_is_known_while_others_use_it(pooled: dict[str, str]) -> None:
    """They take the server's process of a look, and give it back before the next question."""
    params = sessions.parameters(database_of(pooled["WRITE_DATABASE_URL"]))
    stop = Flag()

    def use_it() -> None:
        with closing(sessions.connect(params)) as other:
            while not stop.is_set():
                sessions.answer(other, "SELECT pg_sleep(0.001)")

    thread = Thread(target=use_it)
    thread.start()
    try:
        for _ in range(150):
            with closing(sessions.connect(params)) as connection:
                assert not sessions.lasts(connection, params)
    finally:
        stop.set()
        thread.join()


def test_a_pooler_that_keeps_sessions_whole_is_as_good_as_none(postgresql: Mode) -> None:
    with pooler_before(postgresql, "session") as env, switched(env):
        assert checks.sessions_last(databases=["default", "read"]) == []
        one, other = leadership("relay", "default"), leadership("relay", "default")
        assert (one.acquire(), other.acquire()) == (True, False)
        one.release()
        wait_until(other.acquire, "the other takes it")
        other.release()
