"""Dead letters are applied again, or given up, in the order of their stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from contracts.posts import CommentAdded, PostCreated, PostLiked
from messaging.bus.base import Message
from messaging.monitoring.models import OperatorAction
from messaging.projections.consuming import resolving
from messaging.projections.models import DeadLetter, Discarded
from messaging.projections.registry import Applier
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.parked import created, edited, parked, poison, version_of
from tests.support.processes import here, manage
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of
from tests.support.threads import together


def liked(post_id: UUID, version: int) -> object:
    return record_of(post_id, version, PostLiked(post_id=post_id, username=f"user{version}"))


@contextmanager
def broken(event_type: type) -> Iterator[None]:
    """The projection's function fails on these events."""
    sound = posts.appliers[event_type]

    def fails(*args: object) -> None:
        raise ValueError("a mistake in the code")

    posts.appliers[event_type] = Applier(fails, sound.row_keys)
    try:
        yield
    finally:
        posts.appliers[event_type] = sound


def test_retry_after_the_fix_applies_the_queue_in_order_and_reopens_the_stream(
    database: Mode,
) -> None:
    post_id = uuid4()
    with broken(PostLiked):
        publish(created(post_id), liked(post_id, 2), edited(post_id, 3), edited(post_id, 4))
        consume_all()
        assert parked() == [(2, "poison"), (3, "behind"), (4, "behind")]
    done = resolving.retry(DeadLetter.objects.get(version=4))
    assert (done.applied, done.parked) == (3, 0)
    assert parked() == []
    assert Post.objects.values_list("version", "likes", "message").get() == (4, 1, "v4")
    publish(edited(post_id, 5))
    consume_all()
    assert version_of(post_id) == 5


def test_a_retry_that_fails_again_says_why_and_changes_nothing(database: Mode) -> None:
    post_id = uuid4()
    with broken(PostLiked):
        publish(created(post_id), liked(post_id, 2), edited(post_id, 3))
        consume_all()
    before = list(DeadLetter.objects.order_by("version").values_list("id", "parked_at"))

    def fails(*args: object) -> None:
        raise KeyError("another mistake")

    sound = posts.appliers[PostLiked]
    posts.appliers[PostLiked] = Applier(fails, sound.row_keys)
    try:
        done = resolving.retry(DeadLetter.objects.get(version=2))
    finally:
        posts.appliers[PostLiked] = sound
    assert (done.applied, done.parked) == (0, 2)
    assert parked() == [(2, "poison"), (3, "behind")]
    assert "another mistake" in DeadLetter.objects.get(version=2).reason
    assert list(DeadLetter.objects.order_by("version").values_list("id", "parked_at")) == before
    assert version_of(post_id) == 1


def test_a_retry_stops_at_the_next_bad_event_of_the_stream(database: Mode) -> None:
    post_id = uuid4()
    with broken(PostLiked):
        publish(created(post_id), liked(post_id, 2), edited(post_id, 3), poison(post_id, 4))
        publish(edited(post_id, 5))
        consume_all()
    done = resolving.retry(DeadLetter.objects.get(version=2))
    assert (done.applied, done.parked) == (2, 2)
    assert parked() == [(4, "poison"), (5, "behind")]
    assert version_of(post_id) == 3


def test_a_stream_whose_first_event_was_parked_opens_too(database: Mode) -> None:
    post_id = uuid4()
    with broken(PostCreated):
        publish(created(post_id), edited(post_id, 2))
        consume_all()
        assert parked() == [(1, "poison"), (2, "behind")]
    resolving.retry(DeadLetter.objects.get(version=1))
    assert parked() == []
    assert version_of(post_id) == 2


def test_a_discarded_event_is_passed_over_and_its_stream_goes_on(database: Mode) -> None:
    post_id = uuid4()
    bad = poison(post_id, 2)
    publish(created(post_id), bad, edited(post_id, 3))
    consume_all()
    done = resolving.discard(DeadLetter.objects.get(version=2))
    assert done is not None
    assert (done.applied, done.parked) == (1, 0), "what is given up is not applied"
    assert parked() == []
    assert version_of(post_id) == 3
    assert Discarded.objects.get().version == 2
    publish(bad, edited(post_id, 4))  # delivered again, it stays given up
    consume_all()
    assert parked() == []
    assert version_of(post_id) == 4
    assert rebuild(posts, "log").state == "done"  # and where nothing else was ever parked
    assert parked() == []
    assert version_of(post_id) == 4


def test_only_what_its_stream_waits_for_can_be_discarded(database: Mode) -> None:
    waits, gap = uuid4(), uuid4()
    publish(created(waits), poison(waits, 2), edited(waits, 3))
    publish(created(gap), edited(gap, 3))
    consume_all()
    first = DeadLetter.objects.get(stream_id=waits, version=2)
    with pytest.raises(resolving.NotDiscarded, match=f"only waits behind {first.id}"):
        resolving.discard(DeadLetter.objects.get(stream_id=waits, version=3))
    with pytest.raises(resolving.NotDiscarded, match=f"manage.py republish {gap}"):
        resolving.discard(DeadLetter.objects.get(stream_id=gap))
    assert not Discarded.objects.exists()
    resolving.retry(first)
    done = first
    resolving.discard(first)
    with pytest.raises(resolving.NotDiscarded, match="has taken effect meanwhile"):
        resolving.discard(done)


def test_a_record_without_a_stream_is_tried_again_or_deleted(database: Mode) -> None:
    publish(Message("k", b"no json"))
    consume_all()
    done = resolving.retry(DeadLetter.objects.get())
    assert (done.applied, done.parked) == (0, 1)
    assert parked() == [(None, "unreadable")]
    assert resolving.discard(DeadLetter.objects.get()) is None
    assert parked() == []


def test_the_command_names_the_record_without_a_stream_that_it_has_discarded(
    database: Mode,
) -> None:
    publish(Message("k", b"no json"))
    consume_all()
    number = str(DeadLetter.objects.get().id)
    done = here("deadletters", "discard", number)
    assert (done.stdout, parked()) == (f"Dead letter {number} is discarded.\n", [])


def test_what_the_database_refuses_is_found_behind_a_gap_that_heals(postgresql: Mode) -> None:
    """The event that closes the gap is good; one of those that it releases is not."""
    post_id = uuid4()
    comment = CommentAdded(post_id=post_id, comment_id=uuid4(), author="bob", text="a\0b")
    nul = record_of(post_id, 3, comment)
    publish(created(post_id), nul, edited(post_id, 4))
    consume_all()
    assert parked() == [(3, "gap"), (4, "behind")]
    publish(edited(post_id, 2))
    consume_all()
    assert version_of(post_id) == 2
    assert parked() == [(3, "poison"), (4, "behind")]


def test_a_consumer_and_a_retry_do_not_apply_a_dead_letter_twice(database: Mode) -> None:
    """While one holds the stream, the other waits, and then finds nothing left to do."""
    post_id = uuid4()
    with broken(PostLiked):
        publish(created(post_id), *(liked(post_id, v) for v in range(2, 40)))
        consume_all()
    publish(*(liked(post_id, v) for v in range(40, 60)))
    head = DeadLetter.objects.get(version=2)
    results = together(
        lambda: resolving.retry(head).parked, consume_all, lambda: resolving.retry(head).parked
    )
    assert not any(isinstance(result, Exception) for result in results), results
    resolving.retry(head)
    assert Post.objects.values_list("version", "likes").get() == (59, 58)
    assert parked() == []


def test_the_command_lists_shows_retries_and_discards(database: Mode) -> None:
    bad, retried_post = uuid4(), uuid4()
    with broken(PostLiked):
        publish(created(retried_post), liked(retried_post, 2), edited(retried_post, 3))
        publish(created(bad), poison(bad, 2), edited(bad, 3))
        consume_all()
    env = database.env
    dead_letter = DeadLetter.objects.get(stream_id=bad, version=2)
    listed = here("deadletters", "list")
    assert listed.returncode == 0, listed.stderr
    assert f"poison  {bad} v2  (+1 behind)  messaging.projections.rows.MissingRow" in listed.stdout
    assert "2 dead letters, 4 with those behind." in listed.stdout
    shown = here("deadletters", "show", str(dead_letter.id))
    assert "Traceback" in shown.stdout
    assert '"type": "posts.comment_updated.v1"' in shown.stdout
    retried = here("deadletters", "retry", "--all")
    assert retried.returncode == 1
    assert f"posts stream {retried_post}: 2 applied\n" in retried.stdout
    assert f"posts stream {bad}: 0 applied, 2 still wait\n" in retried.stdout
    discarded = here("deadletters", "discard", str(dead_letter.id))
    assert discarded.returncode == 0, discarded.stderr
    assert (version_of(bad), version_of(retried_post)) == (3, 3)
    assert OperatorAction.objects.count() == 2
    assert manage(env, "deadletters", "show", str(dead_letter.id)).returncode == 1
    assert manage(env, "deadletters", "retry").returncode == 2
    assert manage(env, "deadletters").returncode == 2


def test_a_dead_letter_of_a_generation_that_is_gone_is_left_alone(database: Mode) -> None:
    from messaging.exceptions import FencedOff
    from messaging.projections.models import Checkpoint

    post_id = uuid4()
    publish(created(post_id), poison(post_id, 2))
    consume_all()
    with transaction.atomic("read"):
        Checkpoint.objects.filter(generation=1).delete()
    with pytest.raises(FencedOff, match="generation 1 is gone"):
        resolving.retry(DeadLetter.objects.get())
    assert parked() == [(2, "poison")]
