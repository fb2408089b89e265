"""The SQL of the event store: few statements, the same on PostgreSQL and SQLite.

They are sent in few round trips (round_trips.py), by kept plans, where the database has both
(messaging/dialect/).
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from messaging import conf
from messaging.dialect import dialect_of
from messaging.dialect.base import Call, Statement
from messaging.dialect.changes import Silence
from messaging.dialect.values import db_time, db_uuid
from messaging.eventstore.round_trips import (
    execute,
    fetch,
    transaction_connection,
    transaction_of,
)
from messaging.eventstore.wait_slots import WaitSlots
from messaging.message import Envelope

# First the stream with its type and snapshot, then the events after that. The lock comes before
# the events are read, but on PostgreSQL both see the snapshot of the moment in which the
# statement began: after a wait for the lock, events may be missing (see repository.py).
LOAD = Statement(
    "postlog_load",
    """
WITH s AS (SELECT version, stream_type FROM messaging_stream
           WHERE stream_id = %s {lock}),
     n AS (SELECT version, state FROM messaging_snapshot
           WHERE stream_id = %s AND schema = %s)
SELECT s.version, n.version, s.stream_type, n.state FROM s LEFT JOIN n ON 1 = 1
UNION ALL
SELECT * FROM (
  SELECT CAST(NULL AS integer), e.version, e.type, e.data FROM messaging_event e
  WHERE e.stream_id = %s AND e.version > COALESCE((SELECT version FROM n), 0)
  ORDER BY e.version) AS events
""",
)
# The same of several streams, which are locked in one order, and with any snapshot. LATERAL, as a
# look-up for each: a join is planned by statistics, which may be of an empty table.
LOAD_SEVERAL = """
WITH s AS (SELECT stream_id, version, stream_type FROM messaging_stream
           WHERE stream_id IN ({marks}) ORDER BY stream_id {lock}),
     n AS (SELECT s.*, found.version AS snapshot, found.state, found.schema FROM s LEFT JOIN LATERAL
           (SELECT version, state, schema FROM messaging_snapshot
            WHERE stream_id = s.stream_id OFFSET 0) AS found ON TRUE)
SELECT stream_id, schema, version, snapshot, stream_type, state FROM n
UNION ALL
SELECT n.stream_id, NULL, CAST(NULL AS integer), e.version, e.type, e.data
FROM n JOIN LATERAL (
  SELECT version, type, data FROM messaging_event
  WHERE stream_id = n.stream_id AND version > COALESCE(n.snapshot, 0)
  ORDER BY version) AS e ON TRUE
"""
BEGIN_STREAM = Statement(
    "postlog_begin",
    "INSERT INTO messaging_stream (stream_id, stream_type, version) VALUES (%s, %s, %s)",
)
# A stream of another type gets version NULL, which the column refuses: the statements are sent
# together, so a count of changed rows would come too late to stop the insert of the events.
ADVANCE_STREAM = Statement(
    "postlog_advance",
    "UPDATE messaging_stream SET version = CASE WHEN stream_type = %s "
    "THEN CAST(%s AS integer) END WHERE stream_id = %s AND version = %s",
)
_INSERT_EVENT = (
    "INSERT INTO messaging_event (stream_id, stream_type, version, event_id, type, "
    "data, actor, command_id, correlation_id, causation_id, traceparent, recorded_at) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
)
# The time of a stream's events never goes back, although hosts' clocks differ: an event is
# recorded no earlier than the one before it, whose stream and version are the last two values.
# Nor is it far ahead of the database's clock: consumers would not believe it (decoding.py).
INSERT_EVENT = Statement(
    "postlog_event",
    _INSERT_EVENT + "{least}({in_an_hour}, {greatest}(%s, COALESCE((SELECT recorded_at FROM "
    "messaging_event WHERE stream_id = %s AND version = %s), '1970-01-01'))))",
)
RESTORE_EVENT = Statement("postlog_restore", _INSERT_EVENT + "%s)")
INSERT_OUTBOX = Statement(
    "postlog_outbox",
    "INSERT INTO messaging_outbox (position) "
    "SELECT position FROM messaging_event WHERE stream_id = %s AND version > %s",
)
WRITE_SNAPSHOT = Statement(
    "postlog_snapshot",
    "INSERT INTO messaging_snapshot (stream_id, schema, version, state) "
    "VALUES (%s, %s, %s, %s) ON CONFLICT (stream_id) DO UPDATE SET "
    "schema = excluded.schema, version = excluded.version, state = excluded.state",
)
FIND_RECEIPT = Statement(
    "postlog_find_receipt",
    "SELECT outcome FROM messaging_receipt WHERE actor = %s AND command_id = %s "
    "AND (expires_at IS NULL OR expires_at > {now})",
)
# A few at a time. SKIP LOCKED: leave rows that another transaction holds.
FORGET_RECEIPTS = Statement(
    "postlog_forget_receipts",
    "DELETE FROM messaging_receipt WHERE "
    "(actor = %s AND command_id = %s AND expires_at <= {now}) OR id IN (SELECT id FROM "
    "messaging_receipt WHERE expires_at <= {now} ORDER BY expires_at LIMIT 10 {skip})",
)
INSERT_RECEIPT = Statement(
    "postlog_receipt",
    "INSERT INTO messaging_receipt (actor, command_id, outcome, created_at, expires_at) "
    "VALUES (%s, %s, %s, {now}, {in_seconds})",
)

_wait_slots = cache(WaitSlots)  # one for each number of slots
_silence = Silence()


class Snapshot(NamedTuple):
    """The state of a stream after the last of the events that it is written with."""

    schema: str
    state: str


class Row(NamedTuple):
    """A row of LOAD: the stream's, with `stream_version`, or an event's, without."""

    stream_version: int | None
    version: int | None  # of the snapshot, or of the event
    type: str | None  # the stream's type, or the event's wire name
    text: str | None  # a snapshot's state or an event's data


def load_ahead(stream_ids: Collection[UUID]) -> None:
    """Load these streams by one statement, for the next `load` of each."""
    connection = transaction_connection()
    opened, dialect = transaction_of(connection), dialect_of(connection)
    if opened is None or not stream_ids or not dialect.is_server:
        return
    marks = ", ".join(["%s"] * len(stream_ids))
    sql = LOAD_SEVERAL.format(marks=marks, **dialect.words)
    statement = Statement(f"{LOAD.name}_{len(stream_ids)}", sql)
    opened.ahead = {one: [] for one in stream_ids}
    for stream_id, schema, *row in fetch(connection, statement, list(stream_ids)):
        opened.ahead[stream_id].append((schema, Row(*row)))


def _ahead(connection: BaseDatabaseWrapper, stream_id: UUID, schema: str) -> list[Row] | None:
    """What was loaded ahead, unless it is of a snapshot with another schema."""
    opened = transaction_of(connection)
    found = opened.ahead.pop(stream_id, None) if opened is not None else None
    if found is None or (found and found[0][0] not in (None, schema)):
        return None
    return [row for _, row in found]


def load(stream_id: UUID, schema: str) -> list[Row]:
    """Lock the stream; read its version, its snapshot and the events after the snapshot."""
    connection = transaction_connection()
    if (rows := _ahead(connection, stream_id, schema)) is not None:
        return rows
    key = db_uuid(connection, stream_id)
    with _wait_slots(conf.wait_slots()).take(stream_id):
        return [Row(*row) for row in fetch(connection, LOAD, [key, key, schema, key])]


def append(
    before: int,
    envelopes: Sequence[Envelope],
    payloads: Sequence[str],
    snapshot: Snapshot | None = None,
    *,
    publish: bool = True,
) -> None:
    """Advance the stream from version `before`; insert its events and their outbox rows.

    With `publish=False` the log has the events already: they are stored as they are, without
    outbox rows. The stream's row is written first, so that its lock is held before a position is
    allocated. That keeps the positions of a stream in the order of its versions, which the relay
    depends on.
    """
    connection = transaction_connection()
    first, last = envelopes[0], envelopes[-1]
    key = db_uuid(connection, first.stream_id)
    if before == 0:
        stream: Call = (BEGIN_STREAM, [key, first.stream_type, last.version])
    else:
        stream = (ADVANCE_STREAM, [first.stream_type, last.version, key, before])
    if (opened := transaction_of(connection)) is not None:
        opened.ahead.pop(first.stream_id, None)
    calls = [stream]
    for envelope, payload in zip(envelopes, payloads, strict=True):
        values = event_values(connection, envelope, payload)
        if publish:
            calls.append((INSERT_EVENT, [*values, key, envelope.version - 1]))
        else:
            calls.append((RESTORE_EVENT, values))
    if publish:
        calls.append((INSERT_OUTBOX, [key, before]))
        wake = dialect_of(connection).wake
        if wake is not None and _silence.ends():
            calls.append((wake, []))
    if snapshot is not None:
        calls.append((WRITE_SNAPSHOT, [key, snapshot.schema, last.version, snapshot.state]))
    execute(connection, calls)


def event_values(connection: BaseDatabaseWrapper, e: Envelope, payload: str) -> list[Any]:
    """Return the values of RESTORE_EVENT, which are also the first of INSERT_EVENT."""
    return [
        db_uuid(connection, e.stream_id),
        e.stream_type,
        e.version,
        db_uuid(connection, e.event_id),
        e.type,
        payload,
        e.actor,
        db_uuid(connection, e.command_id),
        db_uuid(connection, e.correlation_id),
        None if e.causation_id is None else db_uuid(connection, e.causation_id),
        e.traceparent,
        db_time(connection, e.recorded_at),
    ]
