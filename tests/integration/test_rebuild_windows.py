"""From the log, what is far behind is read in windows, in which each stream is written once."""

from collections.abc import Iterator
from threading import Event as Flag
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.posts import CommentUpdated, MessageUpdated, PostCreated, PostLiked
from messaging import plausible
from messaging.bus.base import BATCH_BYTES, LogRecord, Message, partition_of
from messaging.projections import bulk_sql
from messaging.projections.models import Checkpoint, DeadLetter
from messaging.rebuilding import from_log
from queries_app.models import Post
from queries_app.projections import people, posts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of

SHOWN = ("stream_id", "version", "message", "likes", "event_id")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_log, "BATCH", 5)
    monkeypatch.setattr(from_log, "CHUNK", 6)
    monkeypatch.setattr(from_log, "MAX_CHUNK", 8)


def of_one_partition() -> Iterator[UUID]:
    """Ids of streams whose records follow each other."""
    while True:
        if partition_of(str(found := uuid4()), 12) == 3:
            yield found


def created(stream_id: UUID, message: str = "Hi") -> Message:
    return record_of(stream_id, 1, PostCreated(post_id=stream_id, author="a", message=message))


def liked(stream_id: UUID, version: int, **changes: Any) -> Message:
    liked_by = PostLiked(post_id=stream_id, username=f"u{version}")
    return record_of(stream_id, version, liked_by, **changes)


def shown(generation: int) -> set[tuple[Any, ...]]:
    return set(Post.objects.filter(generation=generation).values_list(*SHOWN))


def parked(generation: int) -> set[tuple[Any, ...]]:
    found = DeadLetter.objects.filter(projection="posts", generation=generation)
    return set(found.values_list("stream_id", "version", "event_id", "offset", "code"))


def test_each_stream_is_written_once_however_its_events_are_spread(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [one for one, _ in zip(of_one_partition(), range(6), strict=False)]
    publish(*map(created, ids), *(liked(one, v) for v in range(2, 8) for one in ids))
    written: list[UUID] = []
    for name in ("insert", "upsert"):
        put = getattr(bulk_sql, name)

        def counted(model: Any, rows: Any, put: Any = put) -> None:
            written.extend(row.stream_id for row in rows if model is Post)
            put(model, rows)

        monkeypatch.setattr(bulk_sql, name, counted)
    done = rebuild(posts, "log")
    assert (done.state, done.events_done) == ("done", 6 * 7)
    assert sorted(written) == sorted(ids)
    assert {(version, likes) for _, version, _, likes, _ in shown(2)} == {(7, 6)}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generation that was live is left as it is, to be compared."""
    monkeypatch.setattr("messaging.rebuilding.generations.delete_unread", lambda *_: None)


def test_odd_records_leave_the_rows_and_dead_letters_that_a_consumer_leaves(
    database: Mode, kept: None
) -> None:
    """Repeats, gaps that close and one that does not, poison and what waits behind it, rubbish, and
    what newer code wrote."""
    ids = of_one_partition()
    sound, twice, late, open_gap, bad, forged, newer = (next(ids) for _ in range(7))
    again, early = liked(twice, 2), liked(late, 3)
    comment = CommentUpdated(post_id=bad, comment_id=uuid4(), text="of no comment")
    edit = MessageUpdated(post_id=sound, message="edited")
    publish(
        created(sound), created(twice), created(late), created(open_gap), created(bad),
        again, early, liked(open_gap, 3), record_of(bad, 2, comment), again, created(newer),
        Message(str(forged), b"rubbish"), liked(late, 2), liked(bad, 3), early,
        created(forged)._replace(key=str(sound)), liked(twice, 3), again,
        record_of(sound, 2, edit), liked(late, 4), liked(open_gap, 4), liked(bad, 4),
        liked(newer, 2, type="posts.post_liked.v2"), liked(newer, 3),
    )  # fmt: skip
    consume_all()
    done = rebuild(posts, "log")
    assert (done.state, done.error, done.events_done) == ("done", "", 24)
    assert shown(1) == shown(2)
    assert parked(1) == parked(2)
    found = {stream_id: version for stream_id, version, *_ in shown(2)}
    assert found == {sound: 2, twice: 3, late: 4, open_gap: 1, bad: 1, newer: 1}
    codes = sorted(code for *_, code in parked(2))
    assert codes == [
        *["behind"] * 4, "gap", "poison", "unreadable", "unreadable", "waits for newer code"
    ]  # fmt: skip


def test_a_second_history_ends_it(database: Mode) -> None:
    ids = [one for one, _ in zip(of_one_partition(), range(3), strict=False)]
    publish(*map(created, ids), *(liked(one, 2) for one in ids), liked(ids[1], 2))
    done = rebuild(posts, "log")
    assert done.state == "failed"
    assert f"version 2 of stream {ids[1]}" in done.error
    assert not Post.objects.filter(generation=2).exists()


def test_an_event_that_the_database_refuses_is_parked_and_others_are_applied(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausible, "is_username", lambda _: True)
    *ids, bad = (one for one, _ in zip(of_one_partition(), range(8), strict=False))
    author = PostCreated(post_id=bad, author="a" * 151, message="Hi")
    publish(*map(created, ids[:4]), record_of(bad, 1, author), *map(created, ids[4:]))
    assert rebuild(posts, "log").state == "done"
    assert {one for one, *_ in shown(2)} == set(ids)
    assert {(stream_id, code) for stream_id, *_, code in parked(2)} == {(bad, "poison")}


def test_totals_are_right(database: Mode) -> None:
    ids = [one for one, _ in zip(of_one_partition(), range(9), strict=False)]
    publish(*map(created, ids), *(liked(one, v) for v in (2, 3) for one in ids))
    assert rebuild(people, "log").state == "done"
    assert people.models[1]._default_manager.get().posts == 9


def test_a_builder_that_ends_within_a_window_leaves_nothing_of_it(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [one for one, _ in zip(of_one_partition(), range(9), strict=False)]
    publish(*map(created, ids), *(liked(one, v) for v in (2, 3) for one in ids))
    stop, apply = Flag(), from_log._apply

    def once(*args: Any) -> Any:
        stop.set()
        return apply(*args)

    monkeypatch.setattr(from_log, "_apply", once)
    broken = rebuild(posts, "log", stop)
    assert (broken.state, broken.events_done) == ("catching up", 0)
    assert not Post.objects.filter(generation=2).exists()
    assert not Checkpoint.objects.filter(generation=2, offset__gt=0).exists()
    done = rebuild(posts, "log")
    assert (done.id, done.state, done.events_done) == (broken.id, "done", 27)
    assert {(version, likes) for _, version, _, likes, _ in shown(2)} == {(3, 2)}


def record(key: str, size: int = 100_000) -> LogRecord:
    return LogRecord(0, 0, key.encode(), b"x" * size)


def test_a_window_is_applied_by_whole_streams_and_so_many_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(from_log, "CHUNK", 4_000)
    monkeypatch.setattr(from_log, "MAX_CHUNK", 8_000)
    window = [record(str(number % 50)) for number in range(500)]
    found = list(from_log.chunks(from_log.by_key(window)))
    assert max(len(chunk) for chunk in found) * 100_000 <= BATCH_BYTES + 10 * 100_000
    keys = [{one.key for one in chunk} for chunk in found]
    assert sum(map(len, keys)) == 50, "none is in two"
    long = list(from_log.chunks(from_log.by_key(record("one") for _ in range(500))))
    assert max(len(chunk) for chunk in long) * 100_000 <= 2 * BATCH_BYTES + 100_000
