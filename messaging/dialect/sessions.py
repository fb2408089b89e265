"""PostgreSQL connections of our own, and whether a pooler lies between.

Locks and kept plans belong to a session. A pooler that hands the server's session on after
each transaction gives them to others.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from select import select
from typing import Any

from django.db import connections

from messaging import conf
from messaging.exceptions import Pooled, Unreachable

CONNECT_TIMEOUT_S = 5
# Other clients of a pooler come in between. At times of chance, so that no rhythm of theirs fits.
LOOKS, LOOK_PAUSE_S = 20, 0.003
CHANNEL = "postlog_outbox"  # of NOTIFY: there is something to publish

LIBPQ_NAMES = {
    "NAME": "dbname",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "host",
    "PORT": "port",
}
# What Django takes out of OPTIONS for itself or as arguments of psycopg 3; and `options`, the
# settings of a session, which poolers refuse.
NOT_FOR_LIBPQ = frozenset(
    {"assume_role", "context", "cursor_factory", "isolation_level", "options", "pool"}
    | {"prepare_threshold", "server_side_binding"}
)
WHAT_TO_SET = (
    'Set DISABLE_SERVER_SIDE_CURSORS in DATABASES, and POSTLOG["LOCK_DATABASE"] to a database that '
    "is reached without the pooler (docs/poolers.md)."
)


def parameters(settings: dict[str, Any]) -> dict[str, Any]:
    """What libpq takes, from Django's settings of a PostgreSQL database.

    Not Django's get_connection_params(), which brings a session that is set up for the ORM.
    """
    options = {k: v for k, v in settings.get("OPTIONS", {}).items() if k not in NOT_FOR_LIBPQ}
    named = {libpq: settings.get(name) for name, libpq in LIBPQ_NAMES.items()}
    given = {name: str(value) for name, value in named.items() if value}
    return {**options, **given, "connect_timeout": CONNECT_TIMEOUT_S}


def limit_waits_for_locks(seconds: float) -> None:
    """Let PostgreSQL end a wait for a lock after so long, in every session that this process
    opens from now on."""
    for alias in connections.settings:
        _set_at_start(alias, "lock_timeout", seconds)


def limit_reads(seconds: float) -> None:
    """So too a statement on the read database, of whose cost a reader decides."""
    _set_at_start(conf.read_alias(), "statement_timeout", seconds)


def _set_at_start(alias: str, name: str, seconds: float) -> None:
    """The same name in the URL wins: of two settings the last one counts. A pooler refuses
    settings of a session."""
    config = connections.settings[alias]
    if connections[alias].vendor == "postgresql" and not config.get("DISABLE_SERVER_SIDE_CURSORS"):
        given = config["OPTIONS"].get("options", "")
        config["OPTIONS"]["options"] = f"-c {name}={round(seconds * 1000)}ms {given}".rstrip()


@contextmanager
def reaching(params: dict[str, Any]) -> Iterator[None]:
    """Raise `Unreachable`, with the place, when the server cannot be reached or lets nobody in.
    All other errors are the code's."""
    client = _client()
    try:
        yield
    except (client.OperationalError, client.InterfaceError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        place = " ".join(
            f"{name}={params[name]}"
            for name in ("host", "port", "dbname", "user")
            if name in params
        )
        raise Unreachable(f"{why} ({place})") from error


def connect(params: dict[str, Any]) -> Any:
    """A connection in autocommit. Raises `Unreachable`."""
    with reaching(params):
        # psycopg 3 would keep plans in the session by itself.
        client = _client()
        own = {"prepare_threshold": None} if hasattr(client, "AsyncConnection") else {}
        connection = client.connect(**params, **own)
        connection.autocommit = True
        return connection


def listen(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")


def wait_for_notice(connection: Any, seconds: float) -> None:
    """Wait for a NOTIFY, but no longer than so many seconds."""
    if select([connection], [], [], seconds)[0]:
        if callable(connection.notifies):  # psycopg 3
            connection.pgconn.consume_input()
            while connection.pgconn.notifies():
                pass
        else:
            connection.poll()
            connection.notifies.clear()


def answer(connection: Any, sql: str, values: list[Any] | None = None) -> Any:
    """The first value of the first row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()[0]


def lasts(connection: Any, params: dict[str, Any]) -> bool:
    """Whether all statements of this connection meet the same server process.

    PostgreSQL says at the start which process serves a connection: if that is the one that
    answers, nothing lies between. A pooler makes the number up. One that pools by transaction
    gives a second connection the process of the first, or the first another process while the
    second is inside a transaction.
    """
    process = "SELECT pg_backend_pid()"
    first = answer(connection, process)
    if first == connection.info.backend_pid:
        return True
    with closing(connect(params)) as second:
        second.autocommit = False
        for _ in range(LOOKS):
            time.sleep(random.uniform(0, LOOK_PAUSE_S))
            # What was given back last is handed out first: the first one's, to the second.
            found = [answer(one, process) for one in (connection, second, connection)]
            if (found[0], found[2]) != (first, first) or found[1] == first:
                return False
            second.rollback()
    return True


def faults() -> Iterator[str]:
    """What is wrong with how PostgreSQL is reached, and what to set. Raises `Unreachable`."""
    aliases = [alias for alias in conf.aliases() if connections[alias].vendor == "postgresql"]
    locks = conf.postlog().lock_database
    for alias in aliases:
        settings = connections[alias].settings_dict
        keeps_nothing = settings.get("DISABLE_SERVER_SIDE_CURSORS")
        if (keeps_nothing and locks is not None) or _lasts(parameters(settings)):
            continue
        yield (
            f"A pooler lies before database {alias!r} and hands sessions on after each "
            f"transaction, so {'' if keeps_nothing else 'commands would fail and '}locks would not "
            "hold."
        )
    if locks is not None and aliases and not _lasts(parameters(locks)):
        yield (
            'POSTLOG["LOCK_DATABASE"] leads to a pooler that hands sessions on after each '
            "transaction, so locks would not hold."
        )


def require_that_they_last() -> None:
    """Raise `Pooled` if a pooler takes sessions away that are needed."""
    try:
        found = list(faults())
    except Unreachable:
        return  # whoever needs the database waits for it, and says so
    if found:
        raise Pooled(" ".join([*found, WHAT_TO_SET]))


def _client() -> Any:
    """Django's client of PostgreSQL: psycopg 3 where it is installed, else psycopg 2. Imported
    here, so that neither is needed on SQLite."""
    return import_module("django.db.backends.postgresql.base").Database


def _lasts(params: dict[str, Any]) -> bool:
    with closing(connect(params)) as connection, reaching(params):
        return lasts(connection, params)
