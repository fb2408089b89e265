"""The SQL of the event store: few statements, the same on PostgreSQL and SQLite.

On PostgreSQL what follows each other is sent in one round trip (psycopg2 speaks the
simple query protocol); SQLite takes one statement at a time, without a round trip.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.exceptions import NoTransaction
from messaging.message import Envelope

DATABASE = "default"

# First the stream with its snapshot, then the events after that. The lock comes before
# the events are read, but on PostgreSQL both see the snapshot of the moment in which the
# statement began: after a wait for the lock, events may be missing (see repository.py).
LOAD = """
WITH s AS (SELECT version FROM eventstore_stream WHERE stream_id = %s {lock}),
     n AS (SELECT version, state FROM eventstore_snapshot WHERE stream_id = %s AND schema = %s)
SELECT s.version, n.version, NULL, n.state FROM s LEFT JOIN n ON 1 = 1
UNION ALL
SELECT * FROM (
  SELECT CAST(NULL AS integer), e.version, e.type, e.data FROM eventstore_event e
  WHERE e.stream_id = %s AND e.version > COALESCE((SELECT version FROM n), 0)
  ORDER BY e.version) AS events
"""
BEGIN_STREAM = "INSERT INTO eventstore_stream (stream_id, stream_type, version) VALUES (%s, %s, %s)"
ADVANCE_STREAM = (
    "UPDATE eventstore_stream SET version = %s WHERE stream_id = %s AND version = %s"
)
EVENT_COLUMNS = (
    "stream_id, stream_type, version, event_id, type, data, recorded_at, "
    "actor, command_id, correlation_id, causation_id, traceparent"
)
EVENT_VALUES = "(" + ", ".join(["%s"] * 12) + ")"
INSERT_EVENTS = f"INSERT INTO eventstore_event ({EVENT_COLUMNS}) VALUES "
INSERT_OUTBOX = (
    "INSERT INTO eventstore_outbox (position) "
    "SELECT position FROM eventstore_event WHERE stream_id = %s AND version > %s"
)


class Row(NamedTuple):
    """A row of LOAD: the stream's has `stream_version`, an event's has `type`."""

    stream_version: int | None
    version: int | None
    type: str | None
    text: str | None  # a snapshot's state or an event's data


def transaction_connection() -> BaseDatabaseWrapper:
    """The write database's connection. Raises `NoTransaction` outside a transaction."""
    connection = connections[DATABASE]
    if not connection.in_atomic_block:
        raise NoTransaction("Use the event store from a command handler: mediator.send(...).")
    return connection


def load(stream_id: UUID, schema: str) -> list[Row]:
    """Lock the stream, and read it with its snapshot and the events after that."""
    connection = transaction_connection()
    key = db_uuid(connection, stream_id)
    lock = "FOR UPDATE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(LOAD.format(lock=lock), [key, key, schema, key])
        return [Row(*row) for row in cursor.fetchall()]


def append(before: int, envelopes: Sequence[Envelope], payloads: Sequence[str]) -> None:
    """Advance the stream from version `before`, insert its events and their outbox rows.

    The stream's row is written first: so the lock is held before a position is
    allocated, and the positions of a stream are in the order of its versions. The relay
    depends on it.
    """
    connection = transaction_connection()
    first, last = envelopes[0], envelopes[-1]
    key = db_uuid(connection, first.stream_id)
    if before == 0:
        stream = (BEGIN_STREAM, [key, first.stream_type, last.version])
    else:
        stream = (ADVANCE_STREAM, [last.version, key, before])
    values = ", ".join([EVENT_VALUES] * len(envelopes))
    events = [
        value
        for envelope, payload in zip(envelopes, payloads, strict=True)
        for value in event_values(connection, envelope, payload)
    ]
    execute(connection, [stream, (INSERT_EVENTS + values, events), (INSERT_OUTBOX, [key, before])])


def event_values(connection: BaseDatabaseWrapper, e: Envelope, payload: str) -> list[Any]:
    """The values of EVENT_COLUMNS."""
    return [
        db_uuid(connection, e.stream_id),
        e.stream_type,
        e.version,
        db_uuid(connection, e.event_id),
        e.type,
        payload,
        db_time(connection, e.recorded_at),
        e.actor,
        db_uuid(connection, e.command_id),
        db_uuid(connection, e.correlation_id),
        None if e.causation_id is None else db_uuid(connection, e.causation_id),
        e.traceparent,
    ]


def execute(connection: BaseDatabaseWrapper, statements: list[tuple[str, list[Any]]]) -> None:
    """Execute the statements in their order: in one round trip where that is one."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sql = ";\n".join(sql for sql, _ in statements)
            cursor.execute(sql, [value for _, values in statements for value in values])
        else:
            for sql, values in statements:
                cursor.execute(sql, values)


def db_uuid(connection: BaseDatabaseWrapper, value: UUID) -> Any:
    """As Django's UUIDField stores it."""
    return value if connection.features.has_native_uuid_field else value.hex


def db_time(connection: BaseDatabaseWrapper, value: datetime) -> Any:
    """As Django's DateTimeField stores it."""
    return connection.ops.adapt_datetimefield_value(value)
