"""The outbox: the events that the log has not acknowledged yet."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections, transaction

from messaging import codec
from messaging.bus.base import Message
from messaging.eventstore.models import Event, Outbox
from messaging.eventstore.statements import DATABASE
from messaging.message import Envelope

# In the order of positions: a stream's events always are in the order of its versions.
# What is visible now is taken; an event that commits later with a lower position stays
# in the outbox, so nothing is skipped.
COLUMNS = (
    "event_id",
    "stream_id",
    "stream_type",
    "version",
    "type",
    "recorded_at",
    "actor",
    "command_id",
    "correlation_id",
    "causation_id",
    "traceparent",
)
READ = f"""
SELECT o.position, e.data, {", ".join("e." + name for name in COLUMNS)}
FROM eventstore_outbox o JOIN eventstore_event e ON e.position = o.position
ORDER BY o.position LIMIT %s
"""


class Pending(NamedTuple):
    position: int
    message: Message


def oldest(limit: int) -> list[Pending]:
    """The oldest events that wait, in the order in which they are to be published."""
    # raw() converts UUIDs and times where the database has none of its own.
    return [_pending(row) for row in Event.objects.raw(READ, [limit])]


def remove(positions: Sequence[int]) -> None:
    """Forget these: the log has acknowledged them."""
    connection = connections[DATABASE]
    with transaction.atomic(using=DATABASE), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sql = "DELETE FROM eventstore_outbox WHERE position = ANY(%s)"
            cursor.execute(sql, [list(positions)])
        else:
            marks = ", ".join(["%s"] * len(positions))
            cursor.execute(
                f"DELETE FROM eventstore_outbox WHERE position IN ({marks})", list(positions)
            )


def waiting() -> int:
    """How many events wait."""
    return Outbox.objects.count()


def _pending(row: Any) -> Pending:
    envelope = Envelope(**{name: getattr(row, name) for name in COLUMNS})
    document = codec.encode_record(envelope, row.data)
    return Pending(row.position, Message(str(row.stream_id), document))
