"""The outbox: the events that the log has not acknowledged yet."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging import codec
from messaging.bus.base import BATCH_BYTES, Message, Place
from messaging.bus.signing import KeyRing, key_ring
from messaging.conf import write_alias
from messaging.dialect import dialect_of
from messaging.dialect.kept import KeptStatement
from messaging.eventstore.models import LogIdentity, Outbox

# In the order of positions: a stream's events always are in the order of its versions.
# What is visible now is taken; an event that commits later with a lower position stays
# in the outbox, so nothing is skipped.
# Up to {size} bytes, with the event that reaches them.
READ = """
SELECT position, data, event_id, stream_id, stream_type, version, type, recorded_at, actor,
  command_id, correlation_id, causation_id, traceparent
FROM (
  SELECT e.position, e.data, {event_id} AS event_id, {stream_id} AS stream_id, e.stream_type,
    e.version, e.type, e.recorded_at, e.actor, {command_id} AS command_id,
    {correlation_id} AS correlation_id, {causation_id} AS causation_id, e.traceparent,
    SUM({length}) OVER (ORDER BY e.position) - {length} AS bytes_before
  FROM messaging_event e WHERE {waiting}
) AS b
WHERE bytes_before < {size}
ORDER BY position
"""
WAITING = """
SELECT o.position FROM messaging_outbox o WHERE {wanted} ORDER BY o.position LIMIT {limit}
"""
SAME_LOG = "FROM messaging_logidentity WHERE identity = %s AND accepted = %s"
# One statement, one round trip. The share lock makes `accept` of another log wait. With
# synchronous_commit=off losing this DELETE in a crash only republishes.
REMOVE = f"""
WITH same_log AS (SELECT set_config('synchronous_commit', 'off', true) {SAME_LOG} FOR SHARE),
  removed AS (DELETE FROM messaging_outbox
    WHERE position = ANY(%s) AND EXISTS (SELECT FROM same_log)),
  acknowledged AS ({{acknowledge}})
SELECT EXISTS (SELECT FROM same_log)
"""
# Only upwards: a relay that was frozen after it checked its lock knows less than the next one.
ACKNOWLEDGE = """
INSERT INTO messaging_acknowledged ("partition", "offset", event_id)
SELECT column1, column2, column3 FROM (VALUES {marks}) AS v WHERE {condition}
ON CONFLICT ("partition") DO UPDATE SET "offset" = excluded."offset", event_id = excluded.event_id
WHERE excluded."offset" > messaging_acknowledged."offset"
"""
IDS = ("event_id", "stream_id", "command_id", "correlation_id", "causation_id")
RECORDED_AT = 3  # its place after the first four columns


class Pending(NamedTuple):
    position: int
    message: Message
    event_id: str


def oldest(limit: int, without: Collection[int] = ()) -> list[Pending]:
    """The oldest events that wait, in the order in which they are to be published: up to
    `limit`, of up to `BATCH_BYTES`.

    They are signed, where records are. `without`: positions that are on their way already.
    """
    connection = connections[write_alias()]
    if without:
        wanted, values = dialect_of(connection).not_in("o.position", without)
        with connection.cursor() as cursor:
            cursor.execute(_read(connection, wanted, limit), values)
            rows = cursor.fetchall()
    else:  # asked all the time: planning took eight times as long as to find nothing
        sql = _read(connection, "1 = 1", limit)
        rows = KeptStatement(f"postlog_outbox_oldest_{limit}", sql).rows(connection)
    ring = key_ring()
    return [_pending(row, ring) for row in rows]


def _read(connection: BaseDatabaseWrapper, wanted: str, limit: int) -> str:
    dialect = dialect_of(connection)
    # Text from the database: making UUIDs of them would cost more than all the rest.
    ids = {name: dialect.uuid_text(f"e.{name}") for name in IDS}
    waiting = dialect.among("e.position", WAITING.format(wanted=wanted, limit=limit))
    return READ.format(waiting=waiting, length=dialect.octets("e.data"), size=BATCH_BYTES, **ids)


def remove(pending: Sequence[Pending], places: Sequence[Place], log: LogIdentity) -> bool:
    """Delete these rows, which the log has acknowledged, and keep the last place of each
    partition, in one transaction.

    False, and nothing is done, if an operator has accepted another log meanwhile: it has not
    acknowledged these rows, and they may wait for it once more.
    """
    connection = connections[write_alias()]
    last = {
        place.partition: (place.offset, one.event_id)
        for one, place in zip(pending, places, strict=True)
        if place.offset >= 0
    }
    positions = [one.position for one in pending]
    same_log: list[Any] = [log.identity, log.accepted]
    with connection.cursor() as cursor:
        if dialect_of(connection).can_write_in_ctes:
            acknowledge, values = _acknowledging(connection, last, "EXISTS (SELECT FROM same_log)")
            sql = REMOVE.format(acknowledge=acknowledge)
            cursor.execute(sql, [*same_log, positions, *values])
            return bool(cursor.fetchone()[0])
        with transaction.atomic(using=write_alias()):  # it keeps all other writers waiting
            cursor.execute(f"SELECT 1 {SAME_LOG}", same_log)
            if cursor.fetchone() is None:
                return False
            marks = ", ".join(["%s"] * len(positions))
            cursor.execute(f"DELETE FROM messaging_outbox WHERE position IN ({marks})", positions)
            cursor.execute(*_acknowledging(connection, last))
    return True


def acknowledge(last: Mapping[int, tuple[int, str]]) -> None:
    """Keep these offsets and event ids, one for each partition, as `remove` does."""
    connection = connections[write_alias()]
    with connection.cursor() as cursor:
        cursor.execute(*_acknowledging(connection, last))


def waiting() -> int:
    """How many events wait."""
    return Outbox.objects.count()


def _pending(row: tuple[Any, ...], ring: KeyRing | None) -> Pending:
    position, data, event_id, stream_id, *rest = row
    if rest[RECORDED_AT].tzinfo is None:  # SQLite keeps no zone: it is UTC
        rest[RECORDED_AT] = rest[RECORDED_AT].replace(tzinfo=UTC)
    document = codec.encode_document(data, event_id, stream_id, *rest)
    signature = None if ring is None else ring.sign(stream_id, document)
    return Pending(position, Message(stream_id, document, signature), event_id)


def _acknowledging(
    connection: BaseDatabaseWrapper, last: Mapping[int, tuple[int, str]], condition: str = "1 = 1"
) -> tuple[str, list[Any]]:
    if not last:
        return "SELECT 1", []
    mark = f"(%s, %s, {dialect_of(connection).uuid_mark})"
    values: list[Any] = []
    for partition, (offset, event_id) in last.items():
        values += [partition, offset, event_id.replace("-", "")]
    marks = ", ".join([mark] * len(last))
    return ACKNOWLEDGE.format(marks=marks, condition=condition), values
