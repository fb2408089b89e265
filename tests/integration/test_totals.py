"""Totals across streams: each event counts once in a row that many streams change, whatever fails,
comes again or is applied at the same time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event as Flag
from threading import Thread, current_thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections, transaction

from commands_app.commands import DeletePost, LikePost, NewPost
from contracts.posts import CommentAdded, PostCreated, PostLiked
from messaging import codec, mediator
from messaging.bus import current_bus
from messaging.bus.base import LogRecord, Message, partition_of
from messaging.eventstore.scan import StoredEvent
from messaging.message import Context, Position
from messaging.projections.consuming import checkpoints, resolving
from messaging.projections.consuming.automatic_retry import AutomaticRetry
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.consumer import Consumer
from messaging.projections.consuming.dead_letters import is_ready
from messaging.projections.models import DeadLetter, StreamProgress
from messaging.projections.registry import Applier
from messaging.projections.rows import RowBatch
from messaging.projections.serving.waiting import not_reached
from messaging.rebuilding import from_store
from messaging.recovery.verify_log import all_streams, events_by_stream
from messaging.recovery.verify_totals import TotalsAgainstStore
from messaging.testing import publish_all, wait_until
from queries_app.models import Comment, Person
from queries_app.projections import people, posts
from tests.support.consuming import Running, consume_all, take
from tests.support.fold import assert_people_equal_the_fold, expected_people
from tests.support.modes import Mode
from tests.support.rebuilding import rebuild, some_posts
from tests.support.records import publish, record_of

ALICE, BOB = Context(actor="alice"), Context(actor="bob")


def written(count: int, by: Context = ALICE) -> list[UUID]:
    return [mediator.send(NewPost(message="Hi"), by).stream_id for _ in range(count)]


def posts_of(username: str = "alice", generation: int = 1) -> int:
    return Person.objects.get(username=username, generation=generation).posts


def created(post_id: UUID) -> Message:
    return record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="Hi"))


@contextmanager
def broken(bad: UUID) -> Iterator[None]:
    """The function fails on the first event of this post, after it has changed the row."""
    sound = people.appliers[PostCreated]

    def half(root: Any, event: PostCreated, rows: Any) -> None:
        sound.apply(root, event, rows)
        if event.post_id == bad:
            raise ValueError("a mistake in the code")

    people.appliers[PostCreated] = Applier(half, sound.row_keys)
    try:
        yield
    finally:
        people.appliers[PostCreated] = sound


def records() -> dict[int, list[LogRecord]]:
    """What the log holds, as a consumer polls it that has made its checkpoints."""
    bus = current_bus()
    checkpoints.begin("people", bus.identity())
    found = {
        partition: [record for part in bus.read(partition, 0, end) for record in part]
        for partition, end in bus.end_offsets().items()
    }
    return {partition: part for partition, part in found.items() if part}


def test_events_of_many_streams_add_up_in_one_row(database: Mode) -> None:
    first, *_ = written(5)
    written(2, BOB)
    publish_all()
    consume_all(people)
    assert (posts_of("alice"), posts_of("bob")) == (5, 2)
    mediator.send(DeletePost(post_id=first), ALICE)
    written(1)
    publish_all()
    consume_all(people)
    assert assert_people_equal_the_fold() == 2
    assert posts_of("alice") == 5


def test_what_is_delivered_again_is_not_counted_again(database: Mode) -> None:
    written(3)
    publish_all()
    take(records(), projection=people)
    for partition in records():
        checkpoints.halt("people", 1, partition, 0, "")  # as if the checkpoint had been lost
    take(records(), projection=people)
    assert posts_of() == 3


def test_a_key_of_another_type_than_its_field_is_no_row_that_is_missing(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for a new one, it would replace what was added up so far."""
    post_id, comment_id = uuid4(), uuid4()
    commented = CommentAdded(post_id=post_id, comment_id=comment_id, author="bob", text="Hi")
    publish(created(post_id), record_of(post_id, 2, commented))
    consume_all(posts)
    sound = posts.appliers[PostLiked]
    wrong = Applier(sound.apply, lambda *_: [(Comment, str(comment_id))])
    monkeypatch.setitem(posts.appliers, PostLiked, wrong)
    publish(record_of(post_id, 3, PostLiked(post_id=post_id, username="bob")))
    consume_all(posts)
    assert "rows= named a key that the database holds as" in DeadLetter.objects.get().reason


def test_a_parked_event_holds_up_its_stream_alone_and_counts_once_when_it_is_retried(
    database: Mode,
) -> None:
    """Of a failed event nothing stays, though others of its batch changed the same row."""
    bad, good, other = uuid4(), uuid4(), uuid4()
    liked = record_of(bad, 2, PostLiked(post_id=bad, username="bob"))
    with broken(bad):
        publish(created(bad), created(good), liked)
        consume_all(people)
        publish(created(other))
        consume_all(people)
    assert posts_of() == 2
    codes = DeadLetter.objects.order_by("version").values_list("stream_id", "code")
    assert list(codes) == [(bad, "poison"), (bad, "behind")]
    assert resolving.retry(DeadLetter.objects.get(version=2)).applied == 2
    assert (posts_of(), DeadLetter.objects.exists()) == (3, False)
    assert StreamProgress.objects.get(stream_id=bad).version == 2


def test_an_event_that_only_waited_is_found_by_the_progress_of_its_stream(database: Mode) -> None:
    """Where a process dies between a batch and the retry of what the batch has unblocked."""
    post_id = uuid4()
    publish(record_of(post_id, 2, PostLiked(post_id=post_id, username="bob")))
    take(records(), projection=people)
    StreamProgress.objects.create(projection="other", generation=1, stream_id=post_id, version=1)
    assert not DeadLetter.objects.filter(is_ready("people")).exists(), "of another projection"
    StreamProgress.objects.create(projection="people", generation=1, stream_id=post_id, version=1)
    AutomaticRetry(people).run_if_due(1, range(12))
    assert not DeadLetter.objects.exists()
    assert StreamProgress.objects.get(projection="people").version == 2


# --- two at once ----------------------------------------------------------------------------------


def another_partition(post_id: UUID) -> Callable[[], object]:
    part = {p: r for p, r in records().items() if p == partition_of(str(post_id), 12)}
    return partial(take, part, projection=people)


def a_retry(post_id: UUID) -> Callable[[], object]:
    with broken(post_id):
        another_partition(post_id)()
    return partial(resolving.retry, DeadLetter.objects.get(stream_id=post_id))


def stored(post_id: UUID) -> Sequence[StoredEvent]:
    (record,) = records()[partition_of(str(post_id), 12)]
    envelope, data = codec.decode_envelope(record.value or b"")
    return [StoredEvent(envelope, bytes(data).decode())]


def a_builders_chunk(post_id: UUID) -> Callable[[], object]:
    def fold(chunk: Sequence[StoredEvent]) -> None:
        with transaction.atomic(using="read"):
            from_store._fold(people, 1, chunk, continues=False)

    return partial(fold, stored(post_id))


def a_builders_single_event(post_id: UUID) -> Callable[[], object]:
    return partial(from_store._apply, people, 1, Breaker(), lambda **_: None, stored(post_id))


Work = Callable[[UUID], Callable[[], object]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (another_partition, another_partition),
        (another_partition, a_builders_chunk),
        (another_partition, a_builders_single_event),
        (a_retry, a_retry),
    ],
)
def test_who_changes_a_total_while_another_does_waits_and_loads_it_afterwards(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch, one: Work, other: Work
) -> None:
    """A consumer that lost the lock and has not noticed, an operator who retries, a builder."""
    ids = [uuid4() for _ in range(50)]
    mine = ids[0]
    theirs = next(one for one in ids if partition_of(str(one), 12) != partition_of(str(mine), 12))
    publish(created(mine), created(theirs))
    first_work, second_work = one(mine), other(theirs)
    loaded, go = Flag(), Flag()
    write = RowBatch.write

    def slow(self: RowBatch, **options: Any) -> None:
        if current_thread().name == "first":
            loaded.set()
            assert go.wait(60)
        write(self, **options)

    monkeypatch.setattr(RowBatch, "write", slow)
    first = Thread(target=closing(first_work), name="first")
    second = Thread(target=closing(second_work), name="second")
    first.start()
    assert loaded.wait(60)
    second.start()
    wait_until(lambda: waits_for_a_lock() or not second.is_alive(), "the second waits")
    go.set()
    first.join()
    second.join()
    assert (posts_of(), DeadLetter.objects.count()) == (2, 0)


def closing(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    return run


def waits_for_a_lock() -> bool:
    with connections["read"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_one_consumer_has_all_partitions_and_the_next_takes_over(mode: Mode) -> None:
    everything = set(range(12))
    written(3)
    publish_all()
    with Running(people) as first:
        wait_until(lambda: first.owned() == everything, "the first has all")
        other = Consumer(people, current_bus())
        for _ in range(3):
            assert not other.run_once()
            assert not other.is_active(), "it stands by, outside the group"
        wait_until(lambda: Person.objects.exists(), "the first consumes")
        first.stop()
        wait_until(lambda: other.run_once() or other.is_active(), "the other takes over", 30)
        written(2)
        publish_all()
        wait_until(lambda: other.run_once() and posts_of() == 5, "it consumes all", 30)
        other.close()


# --- rebuild and verify ---------------------------------------------------------------------------


def test_a_rebuild_adds_up_streams_over_its_chunks_and_adds_nothing_twice_when_it_was_killed(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    written(4, BOB)
    publish_all()
    consume_all(people)
    Person.objects.update(posts=99)
    monkeypatch.setattr(from_store, "CHUNK", 1)
    fold, chunks = from_store._fold, 0

    def dies(*args: Any, **options: Any) -> None:
        nonlocal chunks
        chunks += 1
        fold(*args, **options)
        if chunks == 4:
            raise KeyboardInterrupt  # within the transaction

    monkeypatch.setattr(from_store, "_fold", dies)
    with pytest.raises(KeyboardInterrupt):
        rebuild(people, "store")
    connections["read"].close()
    assert rebuild(people, "store").state == "done"
    assert chunks > 8
    assert assert_people_equal_the_fold(generation=2) == 2


def test_a_rebuild_parks_a_bad_event_and_counts_the_others(database: Mode) -> None:
    bad, *_ = written(3)
    publish_all()
    with broken(bad):
        assert rebuild(people, "store").state == "done"
    assert posts_of(generation=2) == 2
    resolving.retry(DeadLetter.objects.get())
    assert posts_of(generation=2) == 3


def test_readers_are_not_switched_to_less_than_they_have_seen(database: Mode) -> None:
    post_id, *_ = written(2)
    publish_all()
    consume_all(people)
    progress = StreamProgress.objects.get(stream_id=post_id)
    foreign = StreamProgress(projection="other", generation=1, stream_id=post_id, version=9)
    foreign.save()
    assert rebuild(people, "store").state == "done"
    assert list(StreamProgress.objects.exclude(generation=2)) == [foreign], "of another projection"
    StreamProgress.objects.filter(projection=progress.projection).update(version=7)
    done = rebuild(people, "store")
    assert (done.state, "Readers have seen version 7 of stream" in done.error) == ("failed", True)


def differences() -> list[str]:
    comparison, found = TotalsAgainstStore(people), list[str]()
    for streams in all_streams():
        comparison.read_rows(streams)
        found += comparison.compare(events_by_stream(streams))
    return [*found, *comparison.foreign(), *comparison.behind(patience_s=0)]


def test_verify_folds_the_store_up_to_where_each_stream_is_applied(database: Mode) -> None:
    post_id, *_ = written(2)
    publish_all()
    consume_all(people)
    assert differences() == []
    mediator.send(DeletePost(post_id=post_id), ALICE)
    (behind,) = differences()
    assert behind.startswith(f"people: stream {post_id} is at version 1 of 2: it was not consumed")
    Person.objects.update(posts=7)
    assert differences()[0] == "people: Person alice: posts is 7 instead of 2"
    Person.objects.update(posts=2)
    other = uuid4()
    StreamProgress.objects.filter(stream_id=post_id).update(event_id=other)
    assert f"version 1 was event {other}, the store has" in differences()[0]
    StreamProgress.objects.filter(stream_id=post_id).update(version=9)
    assert any("is at version 9, the store ends at 2" in one for one in differences())


def test_verify_misses_no_stream_that_began_while_it_listed_them(database: Mode) -> None:
    written(2)
    publish_all()
    consume_all(people)
    comparison = TotalsAgainstStore(people)
    comparison.read_rows([])  # the first chunk was listed before these two began
    assert list(comparison.foreign()) == []
    unknown = uuid4()
    StreamProgress.objects.create(projection="people", generation=1, stream_id=unknown, version=1)
    (found,) = differences()
    assert f"StreamProgress has rows of stream {unknown}, which the store does not know" in found


def test_a_token_waits_for_the_progress_of_its_stream(database: Mode) -> None:
    post_id, *_ = written(1)
    position = Position("post", post_id, 1)
    checkpoints.state_of("people")
    StreamProgress.objects.create(projection="other", generation=1, stream_id=post_id, version=9)
    assert not_reached(people, [position]) == [position]
    publish_all()
    consume_all(people)
    assert not_reached(people, [position]) == []
    mediator.send(LikePost(post_id=post_id), BOB)
    publish_all()
    consume_all(people)
    liked = Position("post", post_id, 2)
    assert not_reached(people, [liked]) == [], "what changes no total is progress too"
    assert expected_people()["alice"][0] == posts_of() == 1
