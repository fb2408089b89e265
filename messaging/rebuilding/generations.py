"""Generations: the one that readers see, those that are being built, and what is left of others."""

from collections.abc import Callable, Iterator

from django.db import connections, transaction
from django.db.models import Max, Model

from messaging.projections.bulk_sql import DATABASE
from messaging.projections.models import Checkpoint, DeadLetter, Rebuild
from messaging.projections.registry import Projection

CHUNK = 5_000  # rows that are deleted at once, so that nobody waits for long

# Of a root that readers see there must be one that is at least as far.
BEHIND = """
SELECT l.stream_id, l.version, COALESCE(n.version, 0) FROM {root} l
LEFT JOIN {root} n ON n.generation = %s AND n.stream_id = l.stream_id
WHERE l.generation = %s AND l.version > COALESCE(n.version, 0) LIMIT 1
"""

# Part of the statement that deletes, which so sees which generation is live at that moment,
# however long its process was frozen before.
UNREAD = """EXISTS (
    SELECT 1 FROM messaging_projections_projectionstate s WHERE s.name = %(name)s
    AND s.live_generation <> %(generation)s
    AND (s.live_generation > %(generation)s OR EXISTS (
        SELECT 1 FROM messaging_projections_rebuild r
        WHERE r.projection = s.name AND r.generation = %(generation)s
        AND r.state IN ('cleaning up', 'done', 'cancelled', 'failed')
    ))
)"""


def next_generation(projection: str) -> int:
    """One that was never used before."""
    used = Rebuild.objects.filter(projection=projection).aggregate(last=Max("generation"))["last"]
    return int(used or 1) + 1


def stream_that_is_behind(
    projection: Projection, generation: int, live: int
) -> tuple[object, int, int] | None:
    """A stream whose readers would go back: its id, its live version and the other one."""
    sql = BEHIND.format(root=projection.root._meta.db_table)
    with connections[DATABASE].cursor() as cursor:
        cursor.execute(sql, [generation, live])
        found: tuple[object, int, int] | None = cursor.fetchone()
    return found


def delete_unread(
    projection: Projection, fence: Callable[[], None], go_on: Callable[[], None]
) -> None:
    """Delete, in chunks, the rows of generations that were replaced or given up.

    Each chunk is a transaction of its own, in which `fence` has to raise if this process no
    longer owns the rebuild. `go_on` is called between chunks.
    """
    tables: list[type[Model]] = [*projection.models, Checkpoint, DeadLetter]
    for model in tables:
        for generation in _generations_in(projection, model):
            while _delete_chunk(projection, model, generation, fence):
                go_on()


def _generations_in(projection: Projection, model: type[Model]) -> Iterator[int]:
    """Those with rows in the table, found by leaps through its index."""
    rows = model._default_manager.order_by("generation").values_list("generation", flat=True)
    if model in (Checkpoint, DeadLetter):
        rows = rows.filter(projection=projection.name)
    generation = rows.first()
    while generation is not None:
        yield generation
        generation = rows.filter(generation__gt=generation).first()


def _delete_chunk(
    projection: Projection, model: type[Model], generation: int, fence: Callable[[], None]
) -> int:
    table = model._meta.db_table
    own = "AND projection = %(name)s" if model in (Checkpoint, DeadLetter) else ""
    with transaction.atomic(using=DATABASE, durable=True):
        fence()
        with connections[DATABASE].cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "
                f"WHERE generation = %(generation)s {own} LIMIT {CHUNK}) AND {UNREAD}",
                {"generation": generation, "name": projection.name},
            )
            return int(cursor.rowcount)
