"""The consumer: from Kafka to committed read models."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.db import connections, transaction

from benchmarks.measure import Result, medians

if TYPE_CHECKING:
    from messaging.bus.base import Message

EVENTS = 48_000
BATCH = 1_000


def results() -> Iterator[Result]:
    # A poll takes from one partition as long as it has records: for so many streams in a
    # batch there have to be as many in each of the 12 partitions.
    for in_batch, at_least in ((200, 10_000), (1_000, 4_500)):
        streams = 12 * in_batch
        ours, bare = medians(3, lambda s=streams: consumed(s), lambda n=in_batch: upserted(n))  # type: ignore[misc]
        workload = f"{EVENTS:,} likes, {in_batch:,} streams in each batch of {BATCH:,}"
        yield Result(
            name="consumer",
            workload=workload,
            ours=ours,
            limit=at_least,
            against="the figure asked for",
            unit="events/s",
            target=1.0,
        )
        yield Result(
            name="consumer",
            workload=workload,
            ours=ours,
            limit=bare,
            against="bare upsert of the same rows, a batch a transaction",
            unit="events/s",
            target=0.30,
        )


def published(streams: int) -> list[UUID]:
    """Likes on so many posts in turn, straight into the topic."""
    from contracts.posts import PostCreated, PostLiked
    from messaging.bus import current_bus
    from tests.support.records import record_of

    ids = [uuid4() for _ in range(streams)]
    bus = current_bus()
    bus.ensure_topic()
    publisher = bus.publisher()
    created = [PostCreated(post_id=i, author="a", message="Hi " * 20) for i in ids]
    publisher.publish([signed(record_of(e.post_id, 1, e)) for e in created])
    for version in range(2, EVENTS // streams + 2):
        liked = [PostLiked(post_id=i, username=f"person{version}") for i in ids]
        publisher.publish([signed(record_of(e.post_id, version, e)) for e in liked])
    publisher.close()
    return ids


def signed(message: "Message") -> "Message":
    """As a relay does, if there are keys."""
    from messaging.bus.signing import key_ring

    ring = key_ring()
    if ring is None:
        return message
    return message._replace(signature=ring.sign(message.key, message.value))


def consumed(streams: int, clock: Callable[[], float] = time.perf_counter) -> float:
    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.consuming.consumer import Consumer
    from queries_app.projections import posts

    bus = current_bus()
    bus.ensure_topic()
    consumer = Consumer(posts, bus)
    consumer._start()
    subscription = bus.subscribe(f"bench.{uuid4()}")
    for partition, end in bus.end_offsets().items():
        checkpoints.halt("posts", 1, partition, end, "")
    while not consumer._positions:
        consumer._step(subscription)
    published(streams)
    ends = bus.end_offsets()
    begun = clock()
    while consumer._positions != ends:
        consumer._step(subscription)
    found = (EVENTS + streams) / (clock() - begun)
    subscription.close()
    return found


def upserted(streams: int) -> float:
    """Of each batch the rows that it ends with, in one statement and one commit."""
    from django.utils import timezone

    from messaging.projections import bulk_sql
    from queries_app.models import Post

    rows = [
        Post(
            generation=0,
            stream_id=uuid4(),
            author="a",
            message="Hi " * 20,
            event_id=uuid4(),
            posted_at=timezone.now(),
            visible=True,
        )
        for _ in range(streams)
    ]
    connections["read"].ensure_connection()
    begun = time.perf_counter()
    for number in range(EVENTS // BATCH):
        for row in rows:
            row.version, row.likes = number + 1, number
        with transaction.atomic(using="read"):
            bulk_sql.upsert(Post, rows)
    found = EVENTS / (time.perf_counter() - begun)
    with connections["read"].cursor() as cursor:
        cursor.execute("DELETE FROM queries_app_post WHERE generation = 0")
    return found
