"""Letters that only waited are applied though the process that was to apply them is gone."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError

from commands_app.commands import EditMessage, NewPost
from contracts.posts import MessageUpdated
from messaging import mediator
from messaging.bus.base import partition_of
from messaging.message import Context
from messaging.projections.consuming import automatic_retry, resolving, transaction
from messaging.projections.consuming.automatic_retry import AutomaticRetry
from messaging.projections.models import DeadLetter, Discarded
from messaging.projections.registry import Applier
from messaging.rebuilding import from_store
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import Running, consume_all, shared
from tests.support.modes import Mode
from tests.support.parked import created, edited, parked, poison, version_of
from tests.support.processes import here
from tests.support.rebuilding import at_step, rebuild
from tests.support.records import publish
from tests.support.relaying import publish_all

ALL = range(12)
ALICE = Context(actor="alice")


@contextmanager
def edits(apply: Callable[[Post, str], None]) -> Iterator[None]:
    """The projection's function does this with an edit."""
    sound = posts.appliers[MessageUpdated]

    def applier(post: Post, event: MessageUpdated, rows: Any) -> None:
        apply(post, event.message)

    posts.appliers[MessageUpdated] = Applier(applier, sound.row_keys)
    try:
        yield
    finally:
        posts.appliers[MessageUpdated] = sound


def fail(post: Post, message: str) -> None:
    raise ValueError("a mistake in the code")


def interrupted_retry(monkeypatch: pytest.MonkeyPatch) -> UUID:
    """A stream at version 3: its retry committed versions 2 and 3, and went no further."""
    monkeypatch.setattr(transaction, "RETRY_BATCH", 2)
    post_id = uuid4()
    with edits(fail):
        publish(created(post_id), *(edited(post_id, version) for version in range(2, 7)))
        consume_all()

    def away_at_the_fourth(post: Post, message: str) -> None:
        if message == "v4":
            raise OperationalError("the database is away")
        post.message = message

    with edits(away_at_the_fourth), pytest.raises(OperationalError, match="away"):
        resolving.retry(DeadLetter.objects.get(version=2))
    assert parked() == [(4, "behind"), (5, "behind"), (6, "behind")]
    assert version_of(post_id) == 3
    return post_id


def look() -> None:
    """What a consumer does when it starts, and every so often."""
    AutomaticRetry(posts).run_if_due(1, ALL)


def test_a_consumer_ends_a_retry_that_was_interrupted(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = interrupted_retry(monkeypatch)
    publish(edited(post_id, 7))
    with Running() as consumer:
        wait_until(lambda: version_of(post_id) == 7, "all that waited is applied")
    assert (consumer.error, parked()) == (None, [])
    assert Post.objects.get().message == "v7"


def test_what_the_coming_of_a_missing_event_released_is_applied_after_an_interruption(
    database: Mode,
) -> None:
    """The others were to follow in a transaction of their own."""
    post_id = uuid4()

    def away_at_the_third(post: Post, message: str) -> None:
        if message == "v3":
            raise OperationalError("the database is away")
        post.message = message

    publish(created(post_id), edited(post_id, 3), edited(post_id, 4))
    consume_all()
    publish(edited(post_id, 2))
    with edits(away_at_the_third), pytest.raises(OperationalError, match="away"):
        consume_all()
    assert (version_of(post_id), parked()) == (2, [(3, "gap"), (4, "behind")])
    look()
    assert (version_of(post_id), parked()) == (4, [])


def test_a_rebuild_applies_what_an_interrupted_builder_had_released(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id, interrupted, retry_stream = uuid4(), [], transaction.retry_stream
    publish(created(post_id), edited(post_id, 3), edited(post_id, 4), edited(post_id, 2))
    consume_all()

    def away_once(*arguments: Any) -> Any:
        if interrupted:
            return retry_stream(*arguments)
        interrupted.append(parked())
        raise OperationalError("the database is away")

    monkeypatch.setattr(transaction, "retry_stream", away_once)
    done = rebuild(posts, "log")
    assert interrupted == [[(3, "gap"), (4, "behind")]]
    assert (done.state, done.error) == ("done", "")
    assert (version_of(post_id), parked()) == (4, [])


def test_what_the_switch_itself_unblocks_is_applied_before_it(database: Mode) -> None:
    """The live consumer has applied it already, so without it readers would go back."""
    post_id = uuid4()
    publish(created(post_id))
    publish(edited(post_id, 3))
    consume_all()

    def heal() -> None:
        publish(edited(post_id, 2))
        consume_all()
        assert Post.objects.get(generation=1).version == 3

    with at_step("caught up", heal) as step:
        done = rebuild(posts, "log")
    assert (step.reached, done.state, done.error) == (True, "done", "")
    assert (version_of(post_id), parked()) == (3, [])


def test_from_the_store_nothing_overtakes_a_parked_event_of_an_earlier_chunk(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_store, "CHUNK", 2)
    monkeypatch.setattr(from_store, "MAX_CHUNK", 3)
    post_id = mediator.send(NewPost(message="v1"), ALICE).stream_id
    for version in range(2, 8):
        mediator.send(EditMessage(post_id=post_id, message=f"v{version}"), ALICE)
    publish_all()

    def fail_at_the_second(post: Post, message: str) -> None:
        if message == "v2":
            raise ValueError("a mistake in the code")
        post.message = message

    with edits(fail_at_the_second):
        assert rebuild(posts, "store").state == "done"
    assert version_of(post_id) == 1
    assert parked() == [(2, "poison"), *((version, "behind") for version in range(3, 8))]


def test_giving_up_that_was_interrupted_is_ended(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = uuid4()
    publish(created(post_id), poison(post_id, 2), edited(post_id, 3))
    consume_all()

    def away(*_: object) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(resolving, "retry_stream", away)
        with pytest.raises(OperationalError):
            resolving.discard(DeadLetter.objects.get(version=2))
    assert parked() == [(2, "poison"), (3, "behind")]
    look()
    assert (version_of(post_id), parked()) == (3, [])


def test_what_waits_for_an_event_that_failed_or_has_not_come_is_left_alone(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="postlog.retrying")
    bad, gap = uuid4(), uuid4()
    publish(created(bad), poison(bad, 2), edited(bad, 3))
    publish(created(gap), edited(gap, 3), edited(gap, 4))
    consume_all()
    Post.objects.create(generation=2, stream_id=gap, version=2)  # as far as a rebuild is
    caplog.clear()
    look()
    assert caplog.messages == []
    assert sorted(parked()) == [(2, "poison"), (3, "behind"), (3, "gap"), (4, "behind")]


def test_such_a_dead_letter_is_listed_and_cannot_be_given_up(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = interrupted_retry(monkeypatch)
    listed = here("deadletters", "list").stdout
    assert f"behind  {post_id} v4  (+2 behind)" in listed
    assert "1 dead letters, 3 with those behind." in listed
    first = DeadLetter.objects.get(version=4)
    with pytest.raises(resolving.NotDiscarded, match=f"manage.py deadletters retry {first.id}"):
        resolving.discard(first)
    assert not Discarded.objects.exists()
    retried = here("deadletters", "retry", str(first.id))
    assert (retried.returncode, retried.stdout) == (0, f"posts stream {post_id}: 3 applied\n")


def test_of_versions_in_the_wrong_order_the_first_stands_for_the_stream(database: Mode) -> None:
    post_id = uuid4()
    publish(created(post_id), edited(post_id, 5), edited(post_id, 3))
    consume_all()
    assert parked() == [(3, "behind"), (5, "gap")]
    listed = here("deadletters", "list").stdout
    assert f"behind  {post_id} v3  (+1 behind)" in listed
    assert "1 dead letters, 2 with those behind." in listed
    with pytest.raises(resolving.NotDiscarded, match=f"manage.py republish {post_id}"):
        resolving.discard(DeadLetter.objects.get(version=3))


def test_a_dead_letter_of_another_projection_or_generation_hides_none(database: Mode) -> None:
    one = {"stream_id": uuid4(), "code": "poison", "partition": 0}
    DeadLetter.objects.create(projection="posts", generation=1, version=2, **one)
    DeadLetter.objects.create(projection="posts", generation=2, version=3, **one)
    DeadLetter.objects.create(projection="likes", generation=1, version=4, **one)
    assert "3 dead letters, 3 with those behind." in here("deadletters", "list").stdout


def test_a_stream_of_another_partition_is_left_to_its_consumer(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_retry(monkeypatch)
    partition = DeadLetter.objects.get(version=4).partition
    AutomaticRetry(posts).run_if_due(1, set(ALL) - {partition})
    assert parked() == [(4, "behind"), (5, "behind"), (6, "behind")]


def test_partitions_that_a_rebalance_brings_are_looked_through_at_once(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic_retry, "EVERY_S", 3_600)
    with Running() as stays, Running() as leaves:
        wait_until(lambda: shared(stays, leaves), "they share the partitions", 60)
        post_id = next(i for i in iter(uuid4, None) if partition_of(str(i), 12) in leaves.owned())
        with edits(fail):
            publish(created(post_id), edited(post_id, 2))
            wait_until(lambda: parked() == [(2, "poison")], "it is parked")
        DeadLetter.objects.update(tried_by="other code")
        leaves.stop()
        wait_until(lambda: version_of(post_id) == 2, "who has the partition now retries it")
    assert (stays.error, parked()) == (None, [])
