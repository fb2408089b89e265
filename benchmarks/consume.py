"""The consumer: from Kafka to committed read models.

What is compared with a loop by hand, and the whole of `runconsumer`, is counted in CPU time of the
process, because on a shared machine the clock shows who else works. BENCH_EVENTS=1000000 gives
`runconsumer` a million events, which cost more each: docs/decisions/0050-figures-that-fall-short.md
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
from django.db import connections, transaction

from benchmarks.measure import Result, medians

if TYPE_CHECKING:
    from messaging.bus.base import Message

ROOT = Path(__file__).resolve().parents[1]
EVENTS = 48_000
BATCH = 1_000
ALL_EVENTS = int(os.environ.get("BENCH_EVENTS") or 100_000)  # for runconsumer
ALL_STREAMS = ALL_EVENTS // 10


def results() -> Iterator[Result]:
    # First: the others put records into the log that the store does not have, behind which no
    # relay publishes.
    yield Result(
        name="runconsumer",
        workload=f"{ALL_EVENTS:,} events of {ALL_STREAMS:,} streams until all is level",
        ours=run_consumer(),
        limit=150 * ALL_EVENTS / 1_000_000,
        against="the figure asked for",
        unit="s of CPU",
        target=1.0,
        higher_is_better=False,
    )
    # A poll takes from one partition as long as it has records: for so many streams in a
    # batch there have to be as many in each of the 12 partitions.
    for in_batch, at_least in ((200, 10_000), (1_000, 4_500)):
        streams = 12 * in_batch
        ours, bare = medians(3, lambda s=streams: consumed(s), lambda n=in_batch: upserted(n))  # type: ignore[misc]
        workload = f"{EVENTS:,} likes, {in_batch:,} streams in each partition"
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

    yield from of_cpu()


def of_cpu() -> Iterator[Result]:
    ours, bare = medians(5, lambda: consumed(2_400, time.process_time), by_hand)
    yield Result(
        name="consumer",
        workload=f"{EVENTS:,} likes, 200 streams in each batch",
        ours=ours,
        limit=bare,
        against="a loop by hand: poll, decode, fold in a dict, one upsert, one commit",
        unit="events/s of CPU",
        target=0.60,
    )


class Document(msgspec.Struct):
    """What a loop by hand would read of a record."""

    id: UUID
    type: str
    subject: UUID
    streamversion: int
    data: msgspec.Raw


def by_hand() -> float:
    """Read again what `consumed` has just read, with the same client, and write the same rows."""
    from kafka import TopicPartition

    from messaging.bus import current_bus
    from messaging.projections.consuming import consumer

    bus: Any = current_bus()
    ends = bus.end_offsets()
    client = bus.consumer(group_id=None)
    client.assign([TopicPartition(bus.topic, partition) for partition in ends])
    for partition in ends:
        client.seek(TopicPartition(bus.topic, partition), BEGUN_AT[partition])
    rows: dict[UUID, Any] = {}
    apply, write = folding(rows), writing()
    connections["read"].ensure_connection()
    count = left = sum(ends.values()) - sum(BEGUN_AT.values())
    begun = time.process_time()
    while left:
        changed: set[UUID] = set()
        for part in client.poll(timeout_ms=500, max_records=consumer.BATCH).values():
            left -= len(part)
            changed.update(apply(record.value) for record in part)
        if changed:
            write([rows[stream_id] for stream_id in changed])
    found = count / (time.process_time() - begun)
    client.close()
    with connections["read"].cursor() as cursor:
        cursor.execute("DELETE FROM queries_app_post WHERE generation = 0")
    return found


def folding(rows: dict[UUID, Any]) -> Callable[[bytes], UUID]:
    """A function that decodes one record and changes the row of its stream, which it returns."""
    from contracts.posts import PostCreated, PostLiked
    from queries_app.models import Post

    decode = msgspec.json.Decoder(Document).decode
    read = {
        "posts.post_created.v1": msgspec.json.Decoder(PostCreated).decode,
        "posts.post_liked.v1": msgspec.json.Decoder(PostLiked).decode,
    }

    def apply(value: bytes) -> UUID:
        document = decode(value)
        event = read[document.type](document.data)
        row = rows.get(document.subject)
        if row is None:
            row = rows[document.subject] = Post(generation=0, stream_id=document.subject)
        if document.streamversion == row.version + 1:
            if isinstance(event, PostCreated):
                row.author, row.message, row.visible = event.author, event.message, True
            else:
                row.likes += 1
                row.has_likes = True
            row.version, row.event_id = document.streamversion, document.id
        return document.subject

    return apply


def writing() -> Callable[[list[Any]], None]:
    """A function that writes rows by one statement in one transaction."""
    from queries_app.models import Post

    left_out = ("id", "event_applied_at")  # by the database, in both
    names = [field.attname for field in Post._meta.concrete_fields if field.attname not in left_out]
    values_of = attrgetter(*names)
    mark = f"({', '.join(['%s'] * len(names))})"
    setters = ", ".join(f"{name} = EXCLUDED.{name}" for name in names[2:])

    def write(rows: list[Any]) -> None:
        with transaction.atomic(using="read"), connections["read"].cursor() as cursor:
            cursor.execute(
                f"INSERT INTO queries_app_post ({', '.join(names)}) "
                f"VALUES {', '.join([mark] * len(rows))} "
                f"ON CONFLICT (generation, stream_id) DO UPDATE SET {setters}",
                [value for row in rows for value in values_of(row)],
            )

    return write


def run_consumer(environment: dict[str, str] | None = None) -> float:
    """Seconds of CPU, start of Python included, of a process that brings all projections level with
    new events."""
    from benchmarks.fill import last_position
    from benchmarks.rebuild import fill, publish_everything
    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.registry import consumed as fed

    bus = current_bus()
    bus.ensure_topic()
    ends = bus.end_offsets()
    for projection in fed():  # what was published so far is none of it
        checkpoints.begin(projection.name, bus.identity())
        for partition, end in ends.items():
            checkpoints.halt(projection.name, 1, partition, end, "")
    after = last_position()
    fill(ALL_STREAMS, ALL_EVENTS // ALL_STREAMS)
    publish_everything(after)
    command = [sys.executable, "manage.py", "runconsumer", "--once", "--no-relay"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | (environment or {}), stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"manage.py runconsumer: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


BEGUN_AT: dict[int, int] = {}  # partition -> the offset from which `consumed` read last


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
    for partition, end in bus.end_offsets().items():
        BEGUN_AT[partition] = end
        checkpoints.halt("posts", 1, partition, end, "")
    # Before it joins: a client that fetches by itself would have smaller batches, as they came.
    published(streams)
    subscription = bus.subscribe(f"bench.{uuid4()}")
    while not consumer._positions:
        consumer._step(subscription)
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
