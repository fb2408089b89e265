"""Which dead letter of each stream the others wait behind."""

from uuid import UUID

from django.db import connections

from messaging.projections.consuming import dead_letters
from messaging.projections.models import DeadLetter
from tests.support.modes import Mode


def letters(projection: str, generation: int, stream_id: UUID | None, *versions: int) -> None:
    DeadLetter.objects.bulk_create(
        DeadLetter(
            projection=projection, generation=generation, stream_id=stream_id,
            version=version if stream_id else None, partition=0, offset=offset, code="behind",
        )
        for offset, version in enumerate(versions, DeadLetter.objects.count())
    )  # fmt: skip


def test_what_others_wait_behind_is_the_first_of_each_stream(database: Mode) -> None:
    old, new = UUID(int=1), UUID(int=2)
    letters("posts", 1, old, 4, 3, 5)
    letters("posts", 1, new, 9)
    letters("posts", 1, None, 0, 0)
    letters("posts", 2, old, 2)
    letters("likes", 1, old, 1)
    found = dead_letters.heads("posts", 1, 10)
    assert [(one.stream_id, one.version) for one in found] == [
        (new, 9), (old, 3), (None, None), (None, None),
    ]  # fmt: skip
    each = DeadLetter.objects.filter(dead_letters.is_head(), projection="posts", generation=1)
    assert {one.id for one in found} == {one.id for one in each}
    assert [one.stream_id for one in dead_letters.heads("posts", 1, 1)] == [new, None]
    assert dead_letters.heads("search", 1, 10) == []


def test_the_first_is_found_without_reading_what_waits_behind_it(sqlite: Mode) -> None:
    letters("posts", 1, UUID(int=1), *range(1, 5_001))
    steps: list[None] = []
    connections["read"].ensure_connection()
    connections["read"].connection.set_progress_handler(lambda: steps.append(None), 1_000)
    try:
        (first,) = dead_letters.heads("posts", 1, 10)
    finally:
        connections["read"].connection.set_progress_handler(None, 0)
    assert first.version == 1
    assert len(steps) < 5, "in thousands of SQLite's steps"
