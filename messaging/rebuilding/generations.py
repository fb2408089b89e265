"""Generations: the one that readers see, those that are being built, and what is left of others."""

import logging
from collections.abc import Callable, Iterator

from django.db import connections, transaction
from django.db.models import Max, Model

from messaging import signals
from messaging.conf import read_alias
from messaging.exceptions import HistoryMismatch
from messaging.projections.models import Checkpoint, DeadLetter, Rebuild, StreamProgress
from messaging.projections.registry import Projection

log = logging.getLogger("postlog.rebuild")

CHUNK = 5_000  # rows that are deleted at once, so that nobody waits for long

# Every live root needs a counterpart at the same or a later version.
BEHIND = """
SELECT l.stream_id, l.version, COALESCE(n.version, 0) FROM {root} l
LEFT JOIN {root} n ON n.generation = %s AND n.stream_id = l.stream_id {same}
WHERE l.generation = %s {own} AND l.version > COALESCE(n.version, 0) LIMIT 1
"""

# Part of the statement that deletes: it sees which generation is live at that moment, however long
# its process was frozen before.
UNREAD = """EXISTS (
    SELECT 1 FROM messaging_projectionstate s WHERE s.name = %(name)s
    AND s.live_generation <> %(generation)s
    AND (s.live_generation > %(generation)s OR EXISTS (
        SELECT 1 FROM messaging_rebuild r
        WHERE r.projection = s.name AND r.generation = %(generation)s
        AND r.state IN ('cleaning up', 'done', 'cancelled', 'failed')
    ))
)"""


OF_ALL_PROJECTIONS = (Checkpoint, DeadLetter, StreamProgress)  # tables


class WouldRegress(HistoryMismatch):
    """The new generation lacks what readers have seen."""


def announce_switch(projection: Projection, generation: int) -> None:
    """Tell that readers see this generation now, after the commit."""
    log.info("rebuild of %s: generation %d is live", projection.name, generation)
    signals.switched.send_robust(projection, generation=generation)


def next_generation(projection: str) -> int:
    """One that was never used before."""
    used = Rebuild.objects.filter(projection=projection).aggregate(last=Max("generation"))["last"]
    return int(used or 1) + 1


def require_no_regression(projection: Projection, generation: int, live: int) -> None:
    """Raise `WouldRegress` if readers would see an earlier version of a stream after the switch to
    this generation."""
    found = first_regressed_stream(projection, generation, live)
    if found is None:
        return
    stream_id, seen, version = found
    parked = (
        DeadLetter.objects.filter(
            projection=projection.name, generation=generation, stream_id=str(stream_id)
        )
        .order_by("version")
        .first()
    )
    why = f" It waits behind version {parked.version}: {parked.reason}" if parked else ""
    raise WouldRegress(
        f"Readers have seen version {seen} of stream {stream_id}; generation {generation} has "
        f"version {version} of it. Readers stay where they are.{why} If the later versions are "
        "lost for good, because the event store was put back to an earlier copy, run "
        f"`manage.py rebuild {projection.name} --from store --accept-going-back`."
    )


def first_regressed_stream(
    projection: Projection, generation: int, live: int
) -> tuple[object, int, int] | None:
    """A stream that would regress after the switch: (id, live version, new version)."""
    names = projection.root_filter
    sql = BEHIND.format(
        root=projection.root._meta.db_table,
        same=" ".join(f"AND n.{name} = l.{name}" for name in names),
        own=" ".join(f"AND l.{name} = %s" for name in names),
    )
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(sql, [generation, live, *names.values()])
        found: tuple[object, int, int] | None = cursor.fetchone()
    return found


def delete_unread(
    projection: Projection, fence: Callable[[], None], check_cancelled: Callable[[], None]
) -> None:
    """Delete, in chunks, the rows of generations that were replaced or given up.

    Each chunk is a transaction of its own, in which `fence` has to raise if this process no
    longer owns the rebuild. `check_cancelled` is called between chunks.
    """
    tables: list[type[Model]] = [*projection.models, Checkpoint, DeadLetter]
    for model in tables:
        for generation in _generations_in(projection, model):
            while _delete_chunk(projection, model, generation, fence):
                check_cancelled()


def _generations_in(projection: Projection, model: type[Model]) -> Iterator[int]:
    """Those with rows in the table, found by skipping through its index."""
    rows = model._default_manager.order_by("generation").values_list("generation", flat=True)
    if model in OF_ALL_PROJECTIONS:
        rows = rows.filter(projection=projection.name)
    generation = rows.first()
    while generation is not None:
        yield generation
        generation = rows.filter(generation__gt=generation).first()


def _delete_chunk(
    projection: Projection, model: type[Model], generation: int, fence: Callable[[], None]
) -> int:
    table = model._meta.db_table
    own = "AND projection = %(name)s" if model in OF_ALL_PROJECTIONS else ""
    with transaction.atomic(using=read_alias(), durable=True):
        fence()
        with connections[read_alias()].cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "
                f"WHERE generation = %(generation)s {own} LIMIT {CHUNK}) AND {UNREAD}",
                {"generation": generation, "name": projection.name},
            )
            return int(cursor.rowcount)
