"""Put stored events back into the outbox: one producer, one order, whole streams."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F

from messaging.bus.base import Bus
from messaging.conf import write_alias
from messaging.dialect.values import db_uuid
from messaging.eventstore.models import Acknowledged, LogIdentity, Stream
from messaging.exceptions import PostlogError

AGAIN = """
INSERT INTO messaging_outbox (position)
SELECT position FROM messaging_event {where} ON CONFLICT DO NOTHING
"""


class UnknownStreams(PostlogError):
    """The store has no events of these; nothing was put into the outbox."""


def republish(stream_ids: Sequence[UUID]) -> int:
    """Put all events of these streams into the outbox; return how many were added. Raises
    `UnknownStreams`.

    Consumers that have them drop them by version; those that lack one continue after it.
    """
    known = set(Stream.objects.filter(pk__in=stream_ids).values_list("pk", flat=True))
    if unknown := [str(one) for one in stream_ids if one not in known]:
        raise UnknownStreams(f"The store has no stream {', '.join(unknown)}.")
    marks = ", ".join(["%s"] * len(stream_ids))
    return _again(f"WHERE stream_id IN ({marks})", stream_ids)


def republish_all() -> int:
    """Put all events of all streams into the outbox; return how many were added."""
    return _again("WHERE 1 = 1", [])  # SQLite takes ON CONFLICT after SELECT for a join else


def accept(bus: Bus) -> str:
    """Accept the log that is there now, which is made if there is none, as the one that this store
    publishes to. Returns its identity."""
    bus.ensure_topic()
    identity = str(bus.identity())
    with transaction.atomic(using=write_alias()):
        # First, so that a relay's removal for the old log has either ended or will not happen.
        LogIdentity.objects.get_or_create(id=1, defaults={"identity": identity})
        LogIdentity.objects.update(identity=identity, accepted=F("accepted") + 1)
        Acknowledged.objects.all().delete()  # by the log as it was
    return identity


def _again(where: str, stream_ids: Sequence[UUID]) -> int:
    connection = connections[write_alias()]
    with connection.cursor() as cursor:
        values = [db_uuid(connection, one) for one in stream_ids]
        cursor.execute(AGAIN.format(where=where), values)
        return int(cursor.rowcount)
