"""Read all stored events, stream by stream: for rebuilds from the store, and `verify`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from messaging import codec
from messaging.bus.base import CountByBytes
from messaging.conf import write_alias
from messaging.dialect import dialect_of
from messaging.dialect.values import as_uuid, db_uuid
from messaging.message import Envelope, envelope_of

READ = 2_000  # rows at once, at most
DATA = 5  # the index of that column
BEGINNING = (UUID(int=0), 0)

COLUMNS = (
    "stream_type, stream_id, version, event_id, type, data, recorded_at, actor, command_id, "
    "correlation_id, causation_id, traceparent"
)
SCAN = f"""
SELECT {COLUMNS} FROM messaging_event
WHERE stream_type IN ({{}}) AND (stream_id, version) > (%s, %s)
ORDER BY stream_id, version
"""
OF_STREAMS = f"""
SELECT {COLUMNS} FROM messaging_event WHERE stream_id IN ({{}}) ORDER BY stream_id, version
"""
# VALUES name their columns column1, column2, ... on PostgreSQL and SQLite alike.
AFTER = f"""
SELECT {COLUMNS} FROM (VALUES {{}}) AS k JOIN messaging_event
ON stream_id = k.column1 AND version > k.column2 ORDER BY stream_id, version
"""


class StoredEvent(NamedTuple):
    """An event as it stands in the store."""

    envelope: Envelope
    data: str

    def document(self) -> bytes:
        """Return the record's value, as the log has it."""
        return codec.encode_record(self.envelope, self.data)


@contextmanager
def stored_events(
    stream_types: Collection[str], after: tuple[UUID, int] = BEGINNING
) -> Iterator[Iterator[StoredEvent]]:
    """Read the events of all streams of these types after (stream, version), in that order.

    They are one snapshot of the store, taken on entering, whatever is appended meanwhile. Memory
    does not grow with their number. On PostgreSQL a transaction stays open until the end, so it has
    a connection of its own: the reader may write to the same database.
    """
    with closing(connections[write_alias()].copy()) as connection:
        scan = SCAN.format(", ".join(["%s"] * len(stream_types)))
        values = [*stream_types, db_uuid(connection, after[0]), after[1]]
        with dialect_of(connection).snapshot(connection, scan, values) as cursor:
            yield _rows(cursor)


def events_of(stream_ids: Sequence[UUID]) -> Iterator[StoredEvent]:
    """Read the events of these streams as they are now, by stream and version."""
    if not stream_ids:
        return
    connection = connections[write_alias()]
    marks = ", ".join(["%s"] * len(stream_ids))
    with connection.cursor() as cursor:
        cursor.execute(OF_STREAMS.format(marks), [db_uuid(connection, one) for one in stream_ids])
        rows = cursor.fetchall()
    yield from map(_stored, rows)


def events_after(versions: Mapping[UUID, int]) -> Iterator[StoredEvent]:
    """As `events_of`, for the events of each stream after a version."""
    if not versions:
        return
    connection = connections[write_alias()]
    marks = ", ".join(["(%s, %s)"] * len(versions))
    values = [v for one, version in versions.items() for v in (db_uuid(connection, one), version)]
    with connection.cursor() as cursor:
        cursor.execute(AFTER.format(marks), values)
        rows = cursor.fetchall()
    yield from map(_stored, rows)


def _rows(cursor: Any) -> Iterator[StoredEvent]:
    # Fetch at once: that takes the snapshot on SQLite. Few rows, as their size is unknown.
    rows = cursor.fetchmany(CountByBytes().count(READ))
    return _all(cursor, rows)


def _all(cursor: Any, rows: list[Any]) -> Iterator[StoredEvent]:
    count = CountByBytes()
    while rows:
        for row in rows:
            yield _stored(row)
        count.came([len(row[DATA]) for row in rows])
        rows = cursor.fetchmany(count.count(READ))


def _stored(row: Sequence[Any]) -> StoredEvent:
    kind, stream, version, event, wire_name, data, at, actor, command, *led_to_it = row
    correlation, cause, trace = led_to_it
    envelope = envelope_of(
        as_uuid(event), as_uuid(stream), kind, version, wire_name,
        at if at.tzinfo is not None else at.replace(tzinfo=UTC), actor, as_uuid(command),
        as_uuid(correlation), None if cause is None else as_uuid(cause), trace,
    )  # fmt: skip
    return StoredEvent(envelope, data)
