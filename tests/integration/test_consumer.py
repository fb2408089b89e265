"""The consumer's hold on its partitions: what it seeks, and when it seeks again."""

import json
import logging
import re
from uuid import UUID

import pytest
from django.db import connections

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import partition_of
from messaging.console import dashboard
from messaging.message import Context
from messaging.monitoring.status import projection_status
from messaging.projections.consuming import checkpoints, consumer
from messaging.projections.consuming.consumer import Consumer, last_errors
from messaging.projections.models import Checkpoint
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving.live import live_root
from messaging.testing.waiting import wait_until
from messaging.transient import pause_s
from messaging.workers.heartbeats import Heartbeats
from queries_app.projections import posts
from tests.support.console import signed_in
from tests.support.consuming import Running, shared
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.rebuilding import rebuild
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


def new_posts(count: int = 40) -> list[UUID]:
    """Posts in every partition, published."""
    made = [mediator.send(NewPost(message="Hi"), ALICE).stream_id for _ in range(count)]
    publish_all()
    return made


def is_level() -> bool:
    return projection_status("posts", current_bus().end_offsets()).lag == 0


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


def test_a_partition_that_is_halted_is_left_alone(
    any_bus: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="postlog")
    (post_id,) = new_posts(1)
    with Running() as only:
        wait_until(is_level, "it consumes")
        halt_for_good(only, post_id)
        mediator.send(EditMessage(post_id=post_id, message="behind the fork"), ALICE)
        elsewhere = [one for one in new_posts(24) if not together(one, post_id)]
        wait_until(lambda: all(shown(one) == 1 for one in elsewhere), "others are read", 60)
    assert "another consumer was first" not in caplog.text, "at the record behind it"
    assert only.error is None


def together(one: UUID, other: UUID) -> bool:
    return partition_of(str(one), 12) == partition_of(str(other), 12)


def halt_for_good(consuming: Running, post_id: UUID) -> None:
    """By a fork: a second event with a version that the stream has already."""
    from contracts.posts import PostCreated
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


# --- a read database that refuses writes ------------------------------------------------------

DISK_FULL = """
CREATE FUNCTION disk_full() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END
$$ LANGUAGE plpgsql;
CREATE TRIGGER disk_full BEFORE UPDATE ON messaging_checkpoint
FOR EACH ROW EXECUTE FUNCTION disk_full();
"""


def read_database(sql: str) -> None:
    with connections["read"].cursor() as cursor:
        cursor.execute(sql)


def test_the_pauses_grow_while_it_can_read_but_not_write(
    postgresql: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "postlog.consumer")  # repeats are told once a minute, else
    (post_id,) = new_posts(1)
    with Running() as only:
        wait_until(is_level, "it consumes")
        read_database(DISK_FULL)
        mediator.send(EditMessage(post_id=post_id, message="while the disk is full"), ALICE)
        publish_all()
        wait_until(lambda: len(pauses(caplog)) >= 4, "it tries again, and again", 60)
        assert "No space left on device" in only.last_error
        assert pauses(caplog)[:4] == [0.2, 0.4, 0.8, 1.6]
        read_database("DROP TRIGGER disk_full ON messaging_checkpoint")
        wait_until(lambda: shown(post_id) == 2, "it writes again", 60)
        wait_until(lambda: only.last_error == "", "and says nothing more")
    assert only.error is None


def pauses(caplog: pytest.LogCaptureFixture) -> list[float]:
    found = re.findall(r"Trying again in ([\d.]+) s", caplog.text)
    return [float(seconds) for seconds in found]


def test_pauses_stay_finite_however_often_it_fails() -> None:
    assert pause_s(1) == 0.2
    assert pause_s(100_000) == 10.0


def test_status_and_console_say_why_a_consumer_cannot_work(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "FRESH_S", 0)
    consumers = [Consumer(one, current_bus()) for one in PROJECTIONS.values()]
    heart = Heartbeats({"consumer": lambda: True}, {"consumer": lambda: last_errors(consumers)})
    for one in consumers[:2]:
        one.last_error = "disk full"
    heart._beat()
    told = f"{consumers[0].name}, {consumers[1].name}: disk full"
    assert told in here("status").stdout
    assert json.loads(here("status", "--json").stdout)["workers"][0]["error"] == told
    client = signed_in(is_superuser=True)
    assert told in client.get("/admin/console/").content.decode()
    for one in consumers:
        one.last_error = ""
    heart._beat()
    assert "disk full" not in here("status").stdout
    assert "tries again" not in client.get("/admin/console/").content.decode()
