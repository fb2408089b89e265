"""What cannot take effect is parked with its stream; other streams go on."""

import random
import string
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connections
from django.db.models import F

from contracts.posts import (
    CommentUpdated,
    MessageUpdated,
    PostLiked,
    PostUnliked,
)
from messaging import plausible
from messaging.bus.base import Message, partition_of
from messaging.exceptions import TooManyFailures
from messaging.message import Envelope
from messaging.projections.consuming import consumer, gaps, resolving
from messaging.projections.models import DeadLetter
from queries_app.models import Likes, Post
from queries_app.projections.likes import likes
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.parked import created, edited, parked, poison, version_of
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of


def test_a_poison_event_is_parked_with_its_stream_and_others_go_on(database: Mode) -> None:
    bad, good = uuid4(), uuid4()
    publish(created(bad), created(good), edited(bad, 2), poison(bad, 3), edited(good, 2))
    publish(edited(bad, 4), edited(good, 3))
    consume_all()
    assert (version_of(bad), version_of(good)) == (2, 3)
    assert parked() == [(3, "poison"), (4, "behind")]
    assert "MissingRow" in DeadLetter.objects.get(version=3).reason


def test_the_log_names_a_parked_event_by_the_ids_that_lead_on(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    post_id, command_id = uuid4(), uuid4()
    event = CommentUpdated(post_id=post_id, comment_id=uuid4(), text="?")
    publish(created(post_id), record_of(post_id, 2, event, command_id=command_id))
    consume_all()
    dead_letter = DeadLetter.objects.get()
    (line,) = [one for one in caplog.messages if one.startswith("posts: parked ")]
    for wanted in (
        "posts.comment_updated.v1",
        f"event {dead_letter.event_id}",
        f"version 2 of stream {post_id}",
        f"command {command_id}",
        f"partition {dead_letter.partition} offset {dead_letter.offset}",
    ):
        assert wanted in line


def test_what_a_failed_event_changed_before_it_failed_does_not_stay(database: Mode) -> None:
    from queries_app.projections import posts

    applier = posts.appliers[PostLiked]

    def half(post, event, rows):
        post.likes += 1
        raise ValueError("in the middle")

    posts.appliers[PostLiked] = type(applier)(half, applier.row_keys)
    post_id = uuid4()
    try:
        publish(created(post_id), record_of(post_id, 2, PostLiked(post_id=post_id, username="b")))
        consume_all()
    finally:
        posts.appliers[PostLiked] = applier
    assert Post.objects.get().likes == 0
    assert parked() == [(2, "poison")]


def test_a_gap_is_parked_and_drains_by_itself_when_the_missing_version_comes(
    database: Mode,
) -> None:
    post_id = uuid4()
    publish(created(post_id), edited(post_id, 3), edited(post_id, 4))
    consume_all()
    assert version_of(post_id) == 1
    assert parked() == [(3, "gap"), (4, "behind")]
    publish(edited(post_id, 2))
    consume_all()
    assert version_of(post_id) == 4
    assert Post.objects.get().message == "v4"
    assert parked() == []


def test_a_gap_that_closes_within_a_batch_leaves_nothing_behind(database: Mode) -> None:
    post_id = uuid4()
    publish(created(post_id), edited(post_id, 3), edited(post_id, 2))
    consume_all()
    assert version_of(post_id) == 3
    assert parked() == []


def test_a_parked_event_that_is_delivered_again_is_kept_once(database: Mode) -> None:
    post_id = uuid4()
    late = edited(post_id, 3)
    publish(created(post_id), late, late)
    consume_all()
    publish(late)
    consume_all()
    assert parked() == [(3, "gap")]


def test_another_event_with_the_version_of_a_parked_one_halts_its_partition(
    database: Mode,
) -> None:
    post_id = uuid4()
    publish(created(post_id), edited(post_id, 3), edited(post_id, 3), edited(post_id, 2))
    (reason,) = consume_all().values()
    assert f"Fork: version 3 of stream {post_id}" in reason
    assert (version_of(post_id), parked()) == (1, [(3, "gap")]), "and what follows is not read"


@pytest.mark.parametrize(
    "message",
    [
        Message("k", b"no json"),
        Message("k", b"{}"),
        Message("k", b"\xff\xfe"),
        Message("k", b'{"specversion": "1.0"}' * 1000),
        record_of(uuid4(), 1, PostLiked(post_id=uuid4(), username="x"))._replace(key="another"),
    ],
    ids=["text", "empty", "bytes", "repeated", "wrong-key"],
)
def test_an_unreadable_record_is_parked_and_stops_nobody(database: Mode, message: Message) -> None:
    post_id = uuid4()
    publish(message, created(post_id))
    consume_all()
    assert version_of(post_id) == 1
    assert [code for _, code in parked()] == ["unreadable"]


def test_what_the_database_refuses_is_found_and_parked(postgresql: Mode) -> None:
    bad, good = uuid4(), uuid4()
    nul = MessageUpdated(post_id=bad, message="a\0b")  # PostgreSQL stores no NUL
    publish(created(bad), created(good), record_of(bad, 2, nul), edited(good, 2))
    consume_all()
    publish(edited(bad, 3))
    consume_all()
    assert (version_of(bad), version_of(good)) == (1, 2)
    assert parked() == [(2, "poison"), (3, "behind")]


def test_when_most_events_fail_the_code_is_at_fault_and_nothing_is_parked(database: Mode) -> None:
    streams = [uuid4() for _ in range(30)]
    publish(*(created(s) for s in streams))
    consume_all()
    publish(*(poison(s, 2) for s in streams), *(edited(uuid4(), 1) for _ in range(25)))
    with pytest.raises(TooManyFailures):
        consume_all()
    assert parked() == []


def test_so_too_where_they_come_a_few_at_a_time(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BATCH", 10)
    streams = [uuid4() for _ in range(70)]
    publish(*(created(s) for s in streams))
    consume_all()
    publish(*(poison(s, 2) for s in streams))
    with pytest.raises(TooManyFailures):
        consume_all()
    assert 0 < len(parked()) < len(streams)


def test_a_row_beyond_a_limit_of_the_database_is_parked_and_its_partition_goes_on(
    postgresql: Mode,
) -> None:
    """PostgreSQL refuses an index entry of more than a third of a page (SQLSTATE 54000). Drivers
    raise then what they raise for a lost connection, which waiting would cure."""
    with connections["read"].cursor() as cursor:
        cursor.execute("CREATE INDEX by_message ON queries_app_post (message)")
    bad, good = of_one_partition()
    long = "".join(random.Random(1).choices(string.ascii_letters, k=9_000))
    publish(
        created(bad),
        record_of(bad, 2, MessageUpdated(post_id=bad, message=long)),
        created(good),
    )
    consume_all()
    publish(edited(bad, 3))
    consume_all()
    assert (version_of(bad), version_of(good)) == (1, 1)
    assert parked() == [(2, "poison"), (3, "behind")]
    assert "index row" in DeadLetter.objects.get(version=2).reason


def test_an_event_that_names_a_row_whose_key_the_database_refuses_is_parked(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausible, "is_username", lambda _: True)  # another contract may have text
    bad, good = of_one_partition()
    unliked = record_of(bad, 2, PostUnliked(post_id=bad, username="a\0b"))
    publish(created(bad), unliked, created(good), edited(bad, 3))
    consume_all(likes)
    assert parked() == [(2, "poison"), (3, "behind")]
    assert "NUL" in DeadLetter.objects.get(version=2).reason
    publish(edited(bad, 4), edited(good, 2))
    consume_all(likes)
    assert Likes.objects.get(stream_id=good).version == 2
    assert parked() == [(2, "poison"), (3, "behind"), (4, "behind")]

    late = of_one_partition()[0]
    publish(record_of(late, 2, PostUnliked(post_id=late, username="a\0b")), edited(late, 3))
    consume_all(likes)
    publish(created(late))
    consume_all(likes)
    assert Likes.objects.get(stream_id=late).version == 1, "what waits is not in its way"
    failed = rebuild(likes, "log")
    assert (failed.state, failed.error) == ("done", "")
    assert DeadLetter.objects.filter(code="poison").count() == 2

    resolving.discard(DeadLetter.objects.get(stream_id=bad, version=2))
    assert Likes.objects.get(stream_id=bad).version == 4


def test_an_event_whose_rows_cannot_be_named_is_parked(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = likes.appliers[PostLiked]

    def rows(event: PostLiked, envelope: Envelope) -> list[tuple[object, ...]]:
        if event.username == "bad":
            raise LookupError("no such thing")
        return list(sound.row_keys(event, envelope))

    monkeypatch.setitem(likes.appliers, PostLiked, type(sound)(sound.apply, rows))
    bad, good = of_one_partition()
    publish(created(bad), created(good), record_of(bad, 2, PostLiked(post_id=bad, username="bad")))
    publish(record_of(good, 2, PostLiked(post_id=good, username="bob")))
    consume_all(likes)
    assert (Likes.objects.get(stream_id=good).count, parked()) == (1, [(2, "poison")])
    assert "LookupError: no such thing" in DeadLetter.objects.get().reason


class BeyondALimit(Exception):
    """As a driver tells it."""

    pgcode = "54000"


def test_a_function_whose_statement_is_beyond_a_limit_parks_its_event(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = likes.appliers[PostLiked]

    def asks(root: object, event: PostLiked, rows: object) -> None:
        raise OperationalError("stack depth limit exceeded") from BeyondALimit()

    monkeypatch.setitem(likes.appliers, PostLiked, type(sound)(asks, sound.row_keys))
    post_id = uuid4()
    publish(created(post_id), record_of(post_id, 2, PostLiked(post_id=post_id, username="bob")))
    consume_all(likes)
    assert parked() == [(2, "poison")]


def test_an_event_whose_function_sets_what_is_no_column_is_parked(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = likes.appliers[PostLiked]

    def misspelt(root: Any, event: PostLiked, rows: object) -> None:
        root.cuont = root.count + 1
        root._noted = root.pk  # an attribute of its own is no column on purpose

    monkeypatch.setitem(likes.appliers, PostLiked, type(sound)(misspelt, sound.row_keys))
    post_id = uuid4()
    publish(created(post_id), record_of(post_id, 2, PostLiked(post_id=post_id, username="bob")))
    consume_all(likes)
    assert parked() == [(2, "poison")]
    assert DeadLetter.objects.get().reason == "Likes has no column 'cuont'."


@pytest.mark.parametrize("asked_by", ["the function", "rows="])
def test_an_event_whose_function_asks_what_the_database_does_not_have_is_parked(
    database: Mode, monkeypatch: pytest.MonkeyPatch, asked_by: str
) -> None:
    sound = likes.appliers[PostLiked]

    def asks(*args: object) -> list[tuple[object, ...]]:
        with connections["read"].cursor() as cursor:
            cursor.execute("SELECT 1 FROM coupons")
        return []

    function, rows = (asks, sound.row_keys) if asked_by == "the function" else (sound.apply, asks)
    monkeypatch.setitem(likes.appliers, PostLiked, type(sound)(function, rows))
    bad, good = of_one_partition()
    publish(created(bad), record_of(bad, 2, PostLiked(post_id=bad, username="bob")), created(good))
    consume_all(likes)
    assert (Likes.objects.get(stream_id=good).version, parked()) == (1, [(2, "poison")])


def of_one_partition() -> tuple[UUID, UUID]:
    first = uuid4()
    partition = partition_of(str(first), 12)
    return first, next(o for o in iter(uuid4, None) if partition_of(str(o), 12) == partition)


def test_a_gap_that_does_not_heal_is_reported_once(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    early = uuid4()
    publish(edited(early, 2))
    consume_all()
    caplog.clear()
    reported = gaps.report_gaps("posts", 1, set())
    assert caplog.messages == [], "mostly the other comes at once"
    DeadLetter.objects.update(parked_at=F("parked_at") - gaps.HEALS_WITHIN)
    for _ in range(2):
        reported = gaps.report_gaps("posts", 1, reported)
    (told,) = caplog.messages
    event_id = DeadLetter.objects.get().event_id
    assert f"version 2 of stream {early} (event {event_id}) waits" in told
    assert f"manage.py republish {early}" in told
