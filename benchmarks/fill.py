"""Many events, stored the quick way: whole batches in one transaction."""

from uuid import UUID, uuid4

from django.db import connections


def many_events(streams: int, each: int) -> list[UUID]:
    """So many streams of so many events, a like after the post, in the outbox as well."""
    from contracts.posts import PostCreated, PostLiked
    from messaging.eventstore.unit_of_work import unit_of_work
    from messaging.message import Context

    ids = [uuid4() for _ in range(streams)]

    with unit_of_work(Context(actor="author")) as uow:
        for post_id in ids:
            created = PostCreated(post_id=post_id, author="author", message="Hi " * 20)
            likes = [PostLiked(post_id=post_id, username=f"person{n}") for n in range(1, each)]
            uow.append("post", post_id, 0, [created, *likes])
    return ids


def last_position() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position), 0) FROM messaging_event")
        return int(cursor.fetchone()[0])


def fill_outbox_again(after: int = 0) -> None:
    """Every event that is stored behind a position waits once more."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_outbox "
            "SELECT position FROM messaging_event WHERE position > %s ON CONFLICT DO NOTHING",
            [after],
        )
