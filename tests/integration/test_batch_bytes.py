"""Batches end at 8 MB as well as at a count: large posts do not take a process's memory."""

from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from commands_app.commands import NewPost
from contracts.posts import PostCreated
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import (
    BATCH_BYTES,
    CountByBytes,
    LogRecord,
    Message,
    in_batches,
    partition_of,
)
from messaging.eventstore import scan
from messaging.eventstore.scan import StoredEvent
from messaging.message import Context, Envelope, utc_now
from messaging.projections.consuming import consumer
from messaging.projections.models import Checkpoint
from messaging.rebuilding import from_store
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.records import publish, record_of

TEXT = "\U0001f44d" * 10_000  # the longest post: 40 kB
MOST = BATCH_BYTES + 200_000  # it ends with the record that reaches it; envelopes come on top


def size_of(values: list[bytes]) -> int:
    return sum(map(len, values))


def test_the_relay_reads_batches_of_so_many_bytes(database: Mode) -> None:
    for _ in range(250):
        mediator.send(NewPost(message=TEXT), Context(actor="alice"))
    first = outbox.oldest(1_000)
    assert BATCH_BYTES <= size_of([one.message.value for one in first]) <= MOST
    rest = outbox.oldest(1_000, without=[one.position for one in first])
    positions = [one.position for one in [*first, *rest]]
    assert positions == sorted(positions)
    assert len(set(positions)) == len(positions) == 250
    assert len(outbox.oldest(10)) == 10


def test_a_poll_gives_so_many_bytes_and_all_come_in_the_end(any_bus: Mode) -> None:
    publish(*(Message("one key", b"x" * 40_000) for _ in range(500)))
    subscription = current_bus().subscribe("large")
    found: list[LogRecord] = []

    def all_came() -> bool:
        polled = subscription.poll(timeout_s=0.5, max_records=1_000)
        if polled.changed:
            for partition in polled.assignment:
                subscription.seek(partition, 0)
        records = [record for part in polled.records.values() for record in part]
        assert size_of([record.value or b"" for record in records]) <= MOST
        found.extend(records)
        return len(found) >= 500

    try:
        wait_until(all_came, "all records", 60)
    finally:
        subscription.close()
    assert [record.offset for record in found] == list(range(500))


def test_a_reader_gives_so_many_bytes_and_all_come_in_the_end(any_bus: Mode) -> None:
    publish(*(Message("one key", b"x" * 40_000) for _ in range(500)))
    bus = current_bus()
    (partition,) = [p for p, end in bus.end_offsets().items() if end]
    parts = list(bus.read(partition, 0, 500))
    assert max(size_of([record.value or b"" for record in part]) for part in parts) <= MOST
    assert [record.offset for part in parts for record in part] == list(range(500))


def test_all_partitions_together_give_so_many_bytes(any_bus: Mode) -> None:
    publish(*(Message(f"key {number}", b"x" * 80_000) for number in range(200)))
    bus = current_bus()
    reader = bus.reader(dict.fromkeys(bus.end_offsets(), 0))
    found: list[LogRecord] = []

    def all_came() -> bool:
        polled = reader.poll(timeout_s=0.5, max_records=1_000)
        records = [record for part in polled.records.values() for record in part]
        assert size_of([record.value or b"" for record in records]) <= MOST
        found.extend(records)
        return len(found) >= 200

    try:
        wait_until(all_came, "all records", 60)
    finally:
        reader.close()
    assert len({(record.partition, record.offset) for record in found}) == len(found) == 200


def test_small_records_come_by_their_count(any_bus: Mode) -> None:
    publish(*(Message("one key", b"x") for _ in range(3_000)))
    bus = current_bus()
    (partition,) = [p for p, end in bus.end_offsets().items() if end]
    assert max(map(len, bus.read(partition, 0, 3_000))) > 1_000


def test_a_subscription_gives_small_records_by_their_count(any_bus: Mode) -> None:
    publish(*(Message("one key", b"x") for _ in range(3_000)))
    subscription = current_bus().subscribe("small")

    def largest() -> int:
        polled = subscription.poll(timeout_s=0.5, max_records=1_000)
        if polled.changed:
            for partition in polled.assignment:
                subscription.seek(partition, 0)
        return max(map(len, polled.records.values()), default=0)

    try:
        wait_until(lambda: largest() > 100, "more than it asks for before it knows their size")
    finally:
        subscription.close()


def test_a_large_poll_is_applied_in_several_transactions(database: Mode) -> None:
    ids = [uuid4() for _ in range(300)]
    publish(*(record_of(i, 1, PostCreated(post_id=i, author="alice", message=TEXT)) for i in ids))
    with CaptureQueriesContext(connections["read"]) as captured:
        consume_all()
    moves = [q for q in captured if q["sql"].startswith("\nUPDATE messaging_checkpoint")]
    assert len(moves) == 2
    assert Post.objects.filter(version=1).count() == 300


def test_on_sqlite_where_it_keeps_all_writers_waiting_a_transaction_has_fewer_records(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "SQLITE_BATCH", 100)
    ids = [one for one in (uuid4() for _ in range(5_000)) if partition_of(str(one), 12) == 5][:250]
    publish(*(record_of(i, 1, PostCreated(post_id=i, author="alice", message="Hi")) for i in ids))
    with CaptureQueriesContext(connections["read"]) as captured:
        consume_all()
    moves = [q for q in captured if q["sql"].startswith("\nUPDATE messaging_checkpoint")]
    assert len(moves) == (3 if connections["read"].vendor == "sqlite" else 1)


def test_a_partition_that_halts_early_in_a_large_poll_stays_there(database: Mode) -> None:
    ids = [uuid4() for _ in range(300 * 12)]
    first, *behind = [one for one in ids if partition_of(str(one), 12) == 5]
    other = next(one for one in ids if partition_of(str(one), 12) == 7)
    texts = {first: "one history", **dict.fromkeys(behind, TEXT), other: "of another partition"}
    created = [
        record_of(one, 1, PostCreated(post_id=one, author="alice", message=text))
        for one, text in texts.items()
    ]
    another = PostCreated(post_id=first, author="alice", message="another history")
    fork = record_of(first, 1, another)
    publish(created[0], fork, *created[1:])
    assert size_of([one.value for one in created]) > BATCH_BYTES, "several transactions"
    assert list(consume_all()) == [5]
    assert set(Post.objects.values_list("stream_id", flat=True)) == {first, other}
    assert Checkpoint.objects.get(projection="posts", partition=5).offset == 1


def stored(stream_id: UUID, version: int, size: int = 100_000) -> StoredEvent:
    envelope = Envelope(
        event_id=uuid4(), stream_id=stream_id, stream_type="post", version=version, type="x",
        recorded_at=utc_now(), actor="a", command_id=uuid4(), correlation_id=uuid4(),
        causation_id=None, traceparent="",
    )  # fmt: skip
    return StoredEvent(envelope, "x" * size)


def test_a_rebuild_from_the_store_takes_so_many_bytes_and_whole_streams() -> None:
    events = [stored(stream, v) for stream in (uuid4() for _ in range(50)) for v in range(1, 6)]
    chunks = list(from_store.chunks(iter(events)))
    assert [one for chunk in chunks for one in chunk] == events
    assert max(len(chunk) for chunk in chunks) * 100_000 <= BATCH_BYTES + 5 * 100_000
    assert {chunk[-1].envelope.version for chunk in chunks} == {5}


def test_a_very_large_stream_is_cut() -> None:
    stream = uuid4()
    chunks = list(from_store.chunks(stored(stream, v) for v in range(1, 500)))
    assert max(len(chunk) for chunk in chunks) * 100_000 <= 2 * BATCH_BYTES + 100_000


def test_a_rebuild_from_the_store_takes_so_many_events_and_whole_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(from_store, "CHUNK", 10)
    monkeypatch.setattr(from_store, "MAX_CHUNK", 40)
    events = [stored(stream, v, 1) for stream in (uuid4() for _ in range(20)) for v in range(1, 5)]
    assert {len(chunk) for chunk in from_store.chunks(iter(events))} == {12, 8}
    long = [stored(uuid4(), 1, 1), *(stored(events[0].envelope.stream_id, v, 1) for v in range(90))]
    assert [len(chunk) for chunk in from_store.chunks(iter(long))] == [40, 40, 11]


class Rows:
    """A cursor that is asked for rows."""

    def __init__(self, *sizes: int) -> None:
        self.asked: list[int] = []
        self._sizes = list(sizes)

    def fetchmany(self, count: int) -> list[list[object]]:
        self.asked.append(count)
        if not self._sizes:
            return []
        now, text = utc_now(), "x" * self._sizes.pop(0)
        return [["post", uuid4(), 1, uuid4(), "x", text, now, "a", uuid4(), uuid4(), None, ""]]


def test_a_scan_asks_for_few_events_until_it_knows_their_size() -> None:
    rows = Rows(10, BATCH_BYTES // 4)
    assert len(list(scan._rows(rows))) == 2
    assert rows.asked == [100, scan.READ, 4]


def test_a_count_follows_the_size_of_what_came_last() -> None:
    count = CountByBytes()
    assert count.count(1_000) == 100
    count.came([300] * 100)
    assert count.count(1_000) == 1_000
    count.came([])
    assert count.count(1_000) == 1_000
    count.came([1_000_000])
    assert count.count(1_000) == 8
    count.came([100_000_000])
    assert count.count(1_000) == 1
    count.came([0])
    assert count.count(1_000) == 1_000


def test_batches_keep_the_order_and_lose_nothing() -> None:
    sizes = [3_000_000, 6_000_000, 1, 9_000_000, 1, None, 2]
    records = [LogRecord(0, n, b"", s and b"x" * s) for n, s in enumerate(sizes)]  # type: ignore[arg-type]
    parts = [[record.offset for record in part] for part in in_batches(records)]
    assert parts == [[0, 1], [2, 3], [4, 5, 6]]
    assert list(in_batches([])) == []
