"""What a person has changed lately: their pages wait until they show it.

One row a stream, raised by an upsert. A list in the session would be read, changed and saved as a
whole: of two tabs that save at once, one is forgotten (docs/decisions/0023).
"""

import random
from datetime import timedelta
from typing import NamedTuple

from django.db import connections, router
from django.db.models import BooleanField, ExpressionWrapper, F, Q
from django.db.models.functions import Now

from messaging.dialect.values import db_uuid, sql_now
from messaging.models import OwnChange
from messaging.projections.serving.consistency_token import Position

KEPT = timedelta(days=1)  # a read side that is dead for longer has been told of in other places
FRESH = timedelta(seconds=10)  # what takes longer is not worth waiting for
MOST = 100  # newest ones of a person that a page looks at
SWEEP_EVERY = 50  # changes, on average


class Change(NamedTuple):
    position: Position
    fresh: bool  # worth waiting for


def remember(owner: str, changed: Position) -> None:
    """Never lowers a version: answers to simultaneous requests come in any order."""
    connection = connections[router.db_for_write(OwnChange)]
    now = sql_now(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_ownchange AS known (owner, stream_id, version, at)"
            f" VALUES (%s, %s, %s, {now})"
            " ON CONFLICT (owner, stream_id) DO UPDATE"
            " SET version = excluded.version, at = excluded.at"
            " WHERE excluded.version >= known.version",
            [owner, db_uuid(connection, changed.stream_id), changed.version],
        )
    if random.randrange(SWEEP_EVERY) == 0:
        sweep()


def lately(owner: str) -> list[Change]:
    """The newest version of each stream that its pages have to show."""
    fresh = ExpressionWrapper(Q(at__gt=Now() - FRESH), BooleanField())
    rows = OwnChange.objects.filter(owner=owner, at__gt=Now() - KEPT).order_by(F("at").desc())
    found = rows.values_list("stream_id", "version", fresh)[:MOST]
    return [Change(Position(stream_id, version), new) for stream_id, version, new in found]


def sweep() -> None:
    """Delete what no page asks for any more."""
    OwnChange.objects.filter(at__lt=Now() - KEPT).delete()
