"""The consumer's hold on its partitions: what it seeks, and when it seeks again."""

import logging
from uuid import UUID

import pytest

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import partition_of
from messaging.message import Context
from messaging.overview import projection_now
from messaging.projections import checkpoints, consumer
from messaging.projections.live import live_root
from messaging.projections.models import Checkpoint
from queries_app.projections import posts
from tests.support.consuming import Running, shared
from tests.support.modes import Mode
from tests.support.rebuilding import rebuild
from tests.support.relaying import publish_all
from tests.support.waiting import wait_until

ALICE = Context(actor="alice")


def new_posts(count: int = 40) -> list[UUID]:
    """Posts in every partition, published."""
    made = [mediator.send(NewPost(message="Hi"), ALICE).stream_id for _ in range(count)]
    publish_all()
    return made


def is_level() -> bool:
    return projection_now("posts", current_bus().end_offsets())["lag"] == 0


def shown(post_id: UUID) -> int:
    """The version of the post that readers see."""
    root = live_root(posts, post_id)
    return 0 if root is None else root.version


def test_a_rebalance_right_after_a_switch_seeks_in_the_new_generation(
    any_bus: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "IDENTITY_EVERY_S", 3_600)  # nothing but the rebalance tells it
    new_posts()
    with Running() as stays, Running() as leaves:
        wait_until(lambda: shared(stays, leaves), "they share the partitions", 60)
        wait_until(is_level, "both consume")
        assert rebuild(posts, "log").state == "done"
        leaves.stop()
        made = new_posts()
        wait_until(is_level, "the one that stays applies the new posts", 60)
        assert shared(stays)
        assert all(shown(post_id) == 1 for post_id in made)
    assert (stays.error, leaves.error) == (None, None)


def test_a_partition_that_a_rebuild_has_cured_is_taken_up_again_without_a_restart(
    any_bus: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "IDENTITY_EVERY_S", 0.2)
    (post_id,) = new_posts(1)
    with Running() as only:
        wait_until(is_level, "it consumes")
        halt_for_good(only, post_id)
        assert rebuild(posts, "store").state == "done"
        mediator.send(EditMessage(post_id=post_id, message="after the cure"), ALICE)
        publish_all()
        wait_until(lambda: shown(post_id) == 2, "the partition is read again")
    assert only.error is None


def halt_for_good(consuming: Running, post_id: UUID) -> None:
    """By a fork: a second event with a version that the stream has already."""
    from messaging.contracts.posts import PostCreated
    from tests.support.records import publish, record_of

    publish(record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="forged")))
    wait_until(lambda: Checkpoint.objects.exclude(halted="").exists(), "the partition is halted")


def test_a_missing_checkpoint_is_reported_and_made_again(
    any_bus: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="postlog")
    (post_id,) = new_posts(1)
    partition = partition_of(str(post_id), 12)
    with Running() as first:
        wait_until(is_level, "it consumes")
        with Running() as second:
            wait_until(lambda: shared(first, second), "they share the partitions", 60)
            Checkpoint.objects.filter(partition=partition).delete()
        mediator.send(EditMessage(post_id=post_id, message="after"), ALICE)
        publish_all()
        wait_until(lambda: shown(post_id) == 2, "it is applied", 60)
    assert (first.error, second.error) == (None, None)
    assert Checkpoint.objects.filter(projection="posts", generation=1).count() == 12
    assert f"partitions [{partition}] have no checkpoint in generation 1" in caplog.text


def test_a_seek_never_passes_over_a_partition_without_a_checkpoint(database: Mode) -> None:
    bus = current_bus()
    bus.ensure_topic()
    checkpoints.begin("posts", bus.identity())
    assert checkpoints.live_offsets("posts") == (1, dict.fromkeys(range(12), 0))
    Checkpoint.objects.filter(partition=3).delete()
    generation, offsets = checkpoints.live_offsets("posts")
    assert (generation, sorted(offsets)) == (1, [p for p in range(12) if p != 3])
