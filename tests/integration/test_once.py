"""`runconsumer --once`: publishes what waits, applies what the log holds then, and ends."""

from contextlib import ExitStack

import pytest
from django.db import connections

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.exceptions import WorkerFailed
from messaging.message import Context
from messaging.monitoring import until_level
from messaging.monitoring.status import current_status
from messaging.monitoring.until_level import UntilLevel
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.code_digest import digest_of
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from messaging.workers import heartbeats
from messaging.workers.leadership import leadership
from queries_app.models import Post
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import Worker, manage
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


def posts(count: int) -> None:
    for number in range(count):
        mediator.send(NewPost(message=str(number)), ALICE)


def parked_by_other_code() -> None:
    DeadLetter.objects.create(
        projection="posts", generation=1, partition=0, code="unreadable", tried_by="other code"
    )


def test_it_publishes_and_applies_everything_and_exits_0(mode: Mode) -> None:
    posts(30)
    done = manage(mode.env, "runconsumer", "--once")
    assert done.returncode == 0, done.stderr
    found = current_status()
    assert (found.events, found.outbox, found.lag, found.dead_letters) == (30, 0, 0, 0)
    assert Post.objects.count() == 30
    assert heartbeats.alive("consumer") == [], "it has signed off"


def test_without_a_relay_it_applies_what_the_log_holds(sqlite: Mode) -> None:
    posts(2)
    publish_all()
    posts(3)
    done = manage(sqlite.env, "runconsumer", "--once", "--no-relay")
    assert done.returncode == 0, done.stderr
    assert (outbox.waiting(), Post.objects.count(), current_status().lag) == (3, 2, 0)


def test_with_nothing_to_do_it_ends_at_once(sqlite: Mode) -> None:
    assert manage(sqlite.env, "runconsumer", "--once").returncode == 0


def test_what_other_code_parked_is_tried_though_there_is_nothing_else_to_do(mode: Mode) -> None:
    posts(1)
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
    parked_by_other_code()
    assert manage(mode.env, "runconsumer", "--once").returncode == 0
    assert DeadLetter.objects.get().tried_by == digest_of(PROJECTIONS["posts"])


def test_what_no_consumer_tries_is_not_waited_for(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partition may belong to a consumer with older code."""
    posts(1)
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
    parked_by_other_code()
    look = looks()
    assert not look.look()
    monkeypatch.setattr(until_level, "UNTRIED_FOR_S", 0.0)
    assert look.look()


def test_a_table_that_no_migration_has_made_ends_it_with_what_to_run(sqlite: Mode) -> None:
    posts(1)
    with connections["read"].cursor() as cursor:
        cursor.execute(f"DROP TABLE {Post._meta.db_table}")
    done = manage(sqlite.env, "runconsumer", "--once")
    assert done.returncode == 1
    assert f"no such table: {Post._meta.db_table}. Run `manage.py migrate`" in done.stderr


def test_who_is_stopped_before_it_is_level_does_not_say_that_it_is(sqlite: Mode) -> None:
    posts(1)
    with ExitStack() as stack:
        relay = leadership("relay", "default")
        stack.callback(relay.release)
        assert relay.acquire()
        worker = stack.enter_context(Worker(sqlite.env, "runconsumer", "--once"))
        wait_until(lambda: "relay: standing by" in worker.output(), "nobody publishes", 60)
        assert worker.stop() == 1
        assert "Stopped before the read models were level" in worker.output()


def looks(*, after_the_outbox: bool = True) -> UntilLevel:
    return UntilLevel(current_bus(), after_the_outbox=after_the_outbox)


def apply_all() -> None:
    for projection in PROJECTIONS.values():
        consume_all(projection)


def test_it_waits_for_the_outbox_then_for_each_projection(database: Mode) -> None:
    posts(1)
    level = looks()
    assert not level.look(), "it waits in the outbox"
    publish_all()
    *first, last = PROJECTIONS.values()
    for projection in first:
        assert not level.look(), "others have applied it, this one has not"
        consume_all(projection)
    assert not level.look()
    consume_all(last)
    assert level.look()


def test_what_comes_meanwhile_is_left_to_the_next(sqlite: Mode) -> None:
    """Else it would never end while people write."""
    posts(1)
    level = looks()
    assert not level.look()
    posts(1)
    publish_all()
    apply_all()
    assert level.look()
    posts(1)
    publish_all()
    assert level.look(), "the log has grown since"


def test_a_partition_that_stays_halted_ends_it_with_the_reason(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts(1)
    publish_all()
    apply_all()
    posts(20)
    publish_all()
    ends = current_bus().end_offsets()
    at = checkpoints.offsets("posts", 1, ends)
    level = looks()
    for partition, end in ends.items():
        if at[partition] < end:
            checkpoints.halt("posts", 1, partition, at[partition], "It forked.")
    for projection in (one for name, one in PROJECTIONS.items() if name != "posts"):
        assert not level.look(), "others move"
        consume_all(projection)
    assert not level.look(), "a consumer may try it again"
    monkeypatch.setattr(until_level, "HALTED_FOR_S", 0)
    with pytest.raises(WorkerFailed, match=r"posts: partition \d+ is halted: It forked\."):
        level.look()
