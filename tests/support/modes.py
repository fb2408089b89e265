"""Fresh databases and topics for a test, and Django switched over to them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg2.extensions
from django.db import connections

from config.env import database_of
from dev.postgres_server import ALIASES
from messaging.bus import current_bus
from tests.support.settings import postlog

KAFKA_CLIENT = os.environ.get("TEST_KAFKA_CLIENT", "kafka-python")  # of the whole run


@dataclass(frozen=True)
class Mode:
    """Where a test runs: the environment that its processes get."""

    vendor: str
    bus: str
    env: dict[str, str]


@contextmanager
def fresh_mode(vendor: str, bus: str, folder: Path, client: str = KAFKA_CLIENT) -> Iterator[Mode]:
    """Two new databases and a new topic; this process uses them until the end."""
    name = f"t{uuid4().hex[:12]}"
    urls = new_sqlite(folder) if vendor == "sqlite" else new_postgresql(name)
    kafka = os.environ["TEST_KAFKA"] if bus == "kafka" else ""
    settings = {"bootstrap_servers": kafka, "topic": name, "client": client}
    env = {**urls, **{f"KAFKA_{key.upper()}": value for key, value in settings.items()}}
    env["DEBUG"] = "on"
    with switched(urls), postlog(kafka=settings):
        yield Mode(vendor, bus, env)
        stop_looking()
        current_bus().close()
    if vendor == "postgresql":
        for alias in ALIASES:
            postgresql(f'DROP DATABASE "{name}_{alias}" WITH (FORCE)')


def stop_looking() -> None:
    """`/health/ready` looks at the databases of the test that asks."""
    from messaging.monitoring import health

    looker, health._looking._looker = health._looking._looker, None
    if looker is not None:
        looker.stopping.set()
        looker.join()


def new_sqlite(folder: Path) -> dict[str, str]:
    template = Path(os.environ["TEST_SQLITE_TEMPLATE"])
    for alias in ALIASES:
        shutil.copy(template / f"{alias}.sqlite3", folder / f"{alias}.sqlite3")
    return {env: f"sqlite:///{folder}/{alias}.sqlite3" for alias, env in ALIASES.items()}


def new_postgresql(name: str) -> dict[str, str]:
    for alias in ALIASES:
        postgresql(
            f'CREATE DATABASE "{name}_{alias}" TEMPLATE "template_{alias}" STRATEGY FILE_COPY'
        )
    base = os.environ["TEST_POSTGRES"]
    return {env: f"{base}/{name}_{alias}" for alias, env in ALIASES.items()}


def postgresql(sql: str) -> None:
    if _server().closed:
        _server.cache_clear()
    with _server().cursor() as cursor:
        cursor.execute(sql)


@cache
def _server() -> "psycopg2.extensions.connection":
    """One session for all tests of this process: to open four for each test took more than a third
    of what its databases cost."""
    connection = psycopg2.connect(os.environ["TEST_POSTGRES"] + "/postgres")
    connection.autocommit = True
    return connection


@contextmanager
def switched(urls: dict[str, str], *, pooled: bool = False) -> Iterator[None]:
    """Let Django's two aliases name other databases, in this thread and in new ones."""
    before = {alias: connections.settings[alias] for alias in ALIASES}
    wanted = connections.configure_settings(
        {alias: database_of(urls[env], pooled=pooled) for alias, env in ALIASES.items()}
    )
    use(wanted)
    try:
        yield
    finally:
        use(before)


def use(databases: dict[str, object]) -> None:
    for alias, config in databases.items():
        connections[alias].close()
        connections.settings[alias] = config
        del connections[alias]
