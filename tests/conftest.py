"""Real servers for all tests, and fresh databases for each.

The servers start once, in the process that controls pytest; its workers find them by the
environment. Nothing of them is left at the end. A run of tests/unit alone starts none.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dev.kafka_server import KafkaServer
from dev.postgres_server import ALIASES, PostgresServer
from dev.server import Server, temporary_folder
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import ROOT
from web import counters

# A busy machine makes no example wrong.
hypothesis_settings.register_profile(
    "postlog", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("postlog")

pytest_plugins = ["messaging.testing.plugin"]  # as its entry point does where it is installed

UNIT_TESTS = ROOT / "tests" / "unit"
IN_MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 2**30

POSTGRESQL = {"database", "unchanged", "postgresql", "mode", "any_bus"}  # fixtures that may be it

# Where SQL of our own is written, values are bound and come back, errors and connections end.
TEST_PSYCOPG_3 = os.environ.get("TEST_PSYCOPG") == "3"
PSYCOPG_3 = {
    "__init__", "conftest", "clean_up", "clients", "clocks", "dead_letters", "flush", "history",
    "importevents", "inline", "inline_rebuild", "interrupted_retries", "isolation",
    "kept_connections", "kept_statements", "leadership", "likes", "newer_columns", "once",
    "one_database", "outbox", "read_timeout", "rebuild", "rebuild_requests", "receipts",
    "reservations", "restore_events", "round_trips", "rowstore", "sendcommands_jobs", "sessions",
    "several_streams", "shop", "snapshots", "sorted_pages", "store", "together", "totals",
    "two_builders", "verify", "wake", "walks",
}  # fmt: skip

running_servers: list[Server] = []
_folders: list[Path] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers, in the controlling process only. Own servers can be named instead:
    TEST_POSTGRES=postgresql://user@host:port and TEST_KAFKA=host:port."""
    # Else what a test starts would ignore it too, where a shell runs the tests in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    # As Ctrl-C: by default they would end this process alone, and its servers' folders would stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    if unit_tests_alone(config.args, config.invocation_params.dir):
        return
    config.option.basetemp = config.option.basetemp or _folder("paths")
    if not os.environ.get("TEST_POSTGRES"):
        postgres = PostgresServer(_folder("postgresql"))
        _start(postgres)
        os.environ["TEST_POSTGRES"] = postgres.url("").rstrip("/")
        for alias in ALIASES:
            postgres.create_database(f"template_{alias}")
    if not os.environ.get("TEST_KAFKA"):
        kafka = KafkaServer(_folder("kafka"))
        _start(kafka)
        os.environ["TEST_KAFKA"] = kafka.bootstrap_servers
    templates = _folder("templates")
    os.environ["TEST_SQLITE_TEMPLATE"] = str(templates)
    _migrate({env: f"sqlite:///{templates}/{alias}.sqlite3" for alias, env in ALIASES.items()})
    base = os.environ["TEST_POSTGRES"]
    _migrate({env: f"{base}/template_{alias}" for alias, env in ALIASES.items()})


def unit_tests_alone(arguments: list[str], folder: Path) -> bool:
    """Decide by the arguments: with xdist, tests are collected after the servers have started."""
    paths = [(folder / argument.partition("::")[0]).resolve() for argument in arguments]
    return all(path.is_relative_to(UNIT_TESTS) for path in paths)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The second run, with psycopg 3, is of the modules about what it does in its own way."""
    if TEST_PSYCOPG_3 and collection_path.suffix == ".py":
        return collection_path.stem.removeprefix("test_") not in PSYCOPG_3 or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """And of their tests that use a PostgreSQL."""
    if not TEST_PSYCOPG_3:
        return
    config.hook.pytest_deselected(items=[one for one in items if not _uses_postgresql(one)])
    items[:] = filter(_uses_postgresql, items)


def _uses_postgresql(item: pytest.Item) -> bool:
    if "sqlite" in item.nodeid or "embedded" in item.nodeid:
        return False
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(POSTGRESQL & fixtures) or "postgresql" in item.nodeid or "clients" in item.nodeid


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> None:
    """They are slow to check on purpose. The servers that tests start have the real ones."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_unconfigure(config: pytest.Config) -> None:
    while running_servers:
        running_servers.pop().stop()
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)


def _folder(name: str) -> Path:
    """In memory, where there is room: a database for each test is hundreds of files, and making
    and deleting them on a disk took a fifth of all CPU time."""
    with_room = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES
    folder = temporary_folder(f"test-{name}", IN_MEMORY if with_room else None)
    _folders.append(folder)
    return folder


def _start(server: Server) -> None:
    running_servers.append(server)
    server.start()


def _migrate(urls: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env={**os.environ, **urls},
        check=True,
    )


@pytest.fixture(autouse=True)
def counts_from_nothing() -> None:
    """Requests and wrong passwords are counted for each test by itself, also where an earlier one
    has found the server of the counts away: that is not asked again for some seconds."""
    counters._local._windows.clear()
    counters._shared._ask_again = 0.0


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """For tests of a thousand refusals, whose lines would hide what a failure says."""
    caplog.set_level(logging.CRITICAL)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path
) -> Iterator[Mode]:
    """Fresh databases of either kind, with the embedded log."""
    with django_db_blocker.unblock(), fresh_mode(request.param, "embedded", tmp_path) as mode:
        yield mode


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def unchanged(
    request: pytest.FixtureRequest,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mode]:
    """Of either kind, for all tests of a module in which everything is refused."""
    folder = tmp_path_factory.mktemp("unchanged")
    with django_db_blocker.unblock(), fresh_mode(request.param, "embedded", folder) as mode:
        yield mode


@pytest.fixture
def sqlite(django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    with django_db_blocker.unblock(), fresh_mode("sqlite", "embedded", tmp_path) as mode:
        yield mode


@pytest.fixture
def postgresql(django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    with django_db_blocker.unblock(), fresh_mode("postgresql", "kafka", tmp_path) as mode:
        yield mode


@pytest.fixture(params=["sqlite-embedded", "postgresql-kafka"])
def mode(request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    """The two ways to run the whole path."""
    vendor, bus = request.param.split("-")
    with django_db_blocker.unblock(), fresh_mode(vendor, bus, tmp_path) as found:
        yield found


@pytest.fixture(params=["embedded", "kafka"])
def any_bus(
    request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path
) -> Iterator[Mode]:
    vendor = "sqlite" if request.param == "embedded" else "postgresql"
    with django_db_blocker.unblock(), fresh_mode(vendor, request.param, tmp_path) as found:
        yield found
