"""Errors of a server that is away for a while: retry later, on a new connection.

Django's exception classes alone do not tell: psycopg raises InternalError when PostgreSQL is
read-only, and when it has ended a session that was idle in a transaction.
"""

import re

from django.db import DatabaseError, InterfaceError, OperationalError, connections

from messaging.dialect import dialect_of
from messaging.dialect.psycopg import sqlstate
from messaging.exceptions import BusError, ReadOnlyDatabase, StreamBusy, Unreachable

AWAY = (BusError, ReadOnlyDatabase, StreamBusy, Unreachable, OperationalError, InterfaceError)

MAX_PAUSE_S = 10.0

READ_ONLY = "25006"  # read_only_sql_transaction: a replica, or a primary during a failover
CANCELLED = "57014"  # query_canceled: statement_timeout, a replica's conflict, pg_cancel_backend
# SQLSTATE: read-only, idle_in_transaction_session_timeout, transaction_timeout, lock_timeout.
AWAY_STATES = frozenset({READ_ONLY, "25P03", "25P04", "55P03"})
# Connection exceptions; insufficient resources; operator intervention (shutdown, cancelled).
AWAY_CLASSES = frozenset({"08", "53", "57"})
# Program limit exceeded, such as an index entry that is too large. The drivers raise what they
# raise for a lost connection, but the same statement fails each time. Not so the server's refusal
# of every write until it is vacuumed (transaction ids are running out), which is of this class too.
LIMIT_CLASS = "54"
UNDEFINED_STATES = frozenset({"42P01", "42703"})  # undefined_table, undefined_column
# SQLite raises OperationalError, as for a lock: only the text tells them apart.
SQLITE_UNDEFINED = re.compile(r"no such (table|column): |table \S+ has no column named ")
MIGRATE = (
    "Run `manage.py migrate`, and before it `manage.py makemigrations` if models of yours are new "
    "or have changed. If the tables are newer than this code, start the newer code"
)
ASK_ON_THE_PRIMARY = (
    "The database is read-only: a replica, or a primary that is being replaced. Ask on the primary "
    "(DATABASES), or try again"
)


def is_away(error: BaseException | None) -> bool:
    """Whether the bus or a database is away, so that trying again later is right."""
    if is_unmigrated(error):
        return False
    if isinstance(error, AWAY):
        return True
    if not isinstance(error, DatabaseError):
        return False
    state = sqlstate(error)
    if state is None:
        # What psycopg2 raises when the connection breaks in the middle of an answer.
        return type(error) is DatabaseError and error.__cause__ is not None
    return state in AWAY_STATES or state[:2] in AWAY_CLASSES


def is_unmigrated(error: BaseException | None) -> bool:
    """Whether a table or a column is missing, which no retry cures."""
    if not isinstance(error, DatabaseError):
        return False
    return sqlstate(error) in UNDEFINED_STATES or bool(SQLITE_UNDEFINED.match(str(error)))


def is_beyond_limits(error: BaseException) -> bool:
    """Whether PostgreSQL cannot carry out the statement, mostly because its values are too large.
    Ask only where it is known that the values are the statement's own."""
    return (sqlstate(error) or "").startswith(LIMIT_CLASS)


def reason(error: BaseException) -> str:
    """The error in one line, without a full stop, and what to do about it where that is known."""
    if sqlstate(error) == READ_ONLY:
        return ASK_ON_THE_PRIMARY
    lines = str(error).strip().splitlines()
    what = lines[0].rstrip(".") if lines else type(error).__name__
    return f"{what}. {MIGRATE}" if is_unmigrated(error) else what


def described(error: BaseException) -> str:
    """The reason where it says what to do; of any other error its class and its text."""
    if is_away(error) or is_unmigrated(error):
        return reason(error)
    return f"{type(error).__name__}: {error}"


def pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row."""
    return min(MAX_PAUSE_S, 0.1 * float(2 ** min(failures, 10)))


def drop_connections() -> None:
    """Close this thread's connections, so that the next ones find the primary of that moment.
    One in a transaction stays: whoever opened that closes it."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def write_fault(alias: str, *, replica_will_do: bool) -> str:
    """Why the database takes no writes now, in a word; empty if it does. A session that is
    read-only is dropped: the next look is at whichever server is the primary then."""
    connection = connections[alias]
    dialect = dialect_of(connection)
    if not dialect.is_read_only(connection):
        return ""
    if replica_will_do and dialect.is_replica(connection):
        return ""
    connection.close()
    return "read-only"


def require_writable(alias: str) -> None:
    """Raise `ReadOnlyDatabase` unless the database takes writes now."""
    if dialect_of(connections[alias]).is_read_only(connections[alias]):
        raise ReadOnlyDatabase(ASK_ON_THE_PRIMARY)
