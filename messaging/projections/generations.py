"""Generations: the one that readers see, those that are being built, and what is left of others."""

from collections.abc import Callable, Iterator

from django.db import connections
from django.db.models import Max, Model

from messaging.projections.models import Checkpoint, DeadLetter, Rebuild
from messaging.projections.registry import Projection
from messaging.projections.rowstore import DATABASE

CHUNK = 5_000  # rows that are deleted at once, so that nobody waits for long

# Of a root that readers see there must be one that is at least as far.
BEHIND = """
SELECT l.stream_id, l.version, COALESCE(n.version, 0) FROM {root} l
LEFT JOIN {root} n ON n.generation = %s AND n.stream_id = l.stream_id
WHERE l.generation = %s AND l.version > COALESCE(n.version, 0) LIMIT 1
"""


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


def delete_all_but(projection: Projection, live: int, go_on: Callable[[], None]) -> None:
    """Delete the rows of all other generations, in chunks, calling `go_on` between them."""
    for model in projection.models:
        for generation in _generations_in(model, live):
            while _delete_chunk(model, generation):
                go_on()
    for own in (Checkpoint, DeadLetter):
        own._default_manager.filter(projection=projection.name).exclude(generation=live).delete()


def _generations_in(model: type[Model], live: int) -> Iterator[int]:
    """The others of which there are rows, found by leaps through the index."""
    rows = model._default_manager.exclude(generation=live)
    while (
        first := rows.order_by("generation").values_list("generation", flat=True).first()
    ) is not None:
        yield first


def _delete_chunk(model: type[Model], generation: int) -> int:
    table = model._meta.db_table
    with connections[DATABASE].cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE id IN "
            f"(SELECT id FROM {table} WHERE generation = %s LIMIT {CHUNK})",
            [generation],
        )
        return int(cursor.rowcount)
