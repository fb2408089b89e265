"""Store many events of many streams in one transaction: for a history from elsewhere."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from messaging.dialect import dialect_of
from messaging.dialect.values import as_uuid, db_uuid
from messaging.eventstore.round_trips import transaction_connection
from messaging.eventstore.statements import event_values
from messaging.message import Envelope, Position

COLUMNS = (
    "position", "stream_id", "stream_type", "version", "event_id", "type", "data", "actor",
    "command_id", "correlation_id", "causation_id", "traceparent", "recorded_at",
)  # fmt: skip
LOCK = """
SELECT stream_type, stream_id, version FROM messaging_stream WHERE stream_id IN ({marks})
ORDER BY stream_id {lock}
"""
EVENTS_AT = """
SELECT stream_id, version, event_id, recorded_at FROM messaging_event
WHERE (stream_id, version) IN (VALUES {marks})
"""
ADVANCE = """
INSERT INTO messaging_stream (stream_type, stream_id, version) VALUES {}
ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version
"""


class Stored(NamedTuple):
    event_id: UUID
    recorded_at: datetime


def lock_streams(stream_ids: Collection[UUID]) -> dict[UUID, Position]:
    """Lock these streams until the transaction ends, in one order. Those that do not exist are left
    out, and cannot be locked."""
    if not stream_ids:
        return {}
    connection = transaction_connection()
    sql = LOCK.format(marks=", ".join(["%s"] * len(stream_ids)), **dialect_of(connection).words)
    with connection.cursor() as cursor:
        cursor.execute(sql, [db_uuid(connection, one) for one in stream_ids])
        found = [Position(kind, as_uuid(one), version) for kind, one, version in cursor.fetchall()]
    return {one.stream_id: one for one in found}


def events_at(versions: Collection[tuple[UUID, int]]) -> dict[tuple[int, int], Stored]:
    """Look up events by stream and version. The answer has numbers for streams: UUIDs hash
    slowly."""
    if not versions:
        return {}
    connection = transaction_connection()
    values = [value for one, version in versions for value in (db_uuid(connection, one), version)]
    with connection.cursor() as cursor:
        cursor.execute(EVENTS_AT.format(marks=", ".join(["(%s, %s)"] * len(versions))), values)
        rows = cursor.fetchall()
    return {
        (as_uuid(stream_id).int, version): Stored(
            as_uuid(event_id), at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        )
        for stream_id, version, event_id, at in rows
    }


def append(
    begun: Iterable[Position],
    advanced: Iterable[Position],
    events: Sequence[tuple[Envelope, str]],
) -> None:
    """Begin streams, advance locked ones, and insert their events with these payloads, in this
    order, and their outbox rows.

    The streams come first, so that their locks are held before a position is allocated, as in
    `statements.append`. Raises `IntegrityError` if one was begun by somebody else meanwhile.
    """
    connection = transaction_connection()
    dialect = dialect_of(connection)

    def rows(streams: Iterable[Position]) -> list[list[object]]:
        # In one order, so that two that wait for each other's streams do not wait for ever.
        in_order = sorted(streams, key=lambda one: one.stream_id.int)
        return [[kind, db_uuid(connection, one), version] for kind, one, version in in_order]

    dialect.copy(connection, "messaging_stream", Position._fields, rows(begun))
    if old := rows(advanced):
        with connection.cursor() as cursor:
            dialect.insert(cursor, ADVANCE, old)
    positions = dialect.next_ids(connection, "messaging_event", "position", len(events))
    values = [event_values(connection, envelope, payload) for envelope, payload in events]
    placed = ([position, *row] for position, row in zip(positions, values, strict=True))
    dialect.copy(connection, "messaging_event", COLUMNS, placed)
    dialect.copy(connection, "messaging_outbox", ["position"], [[one] for one in positions])
