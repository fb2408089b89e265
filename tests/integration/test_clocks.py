"""Hosts' clocks differ: what several hosts compare comes from the database's."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F

from commands_app.commands import EditMessage, LikePost, NewPost
from contracts.posts import MessageUpdated, PostCreated
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import Subscription
from messaging.eventstore.models import Event, Receipt
from messaging.message import Context, utc_now
from messaging.monitoring.status import current_status
from messaging.projections.consuming.gaps import HEALS_WITHIN
from messaging.projections.models import DeadLetter
from messaging.testing.waiting import wait_until
from messaging.workers.heartbeats import Heartbeats, alive
from messaging.workers.models import Heartbeat
from tests.support.clock import clock_off_by
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.records import publish, record_of

ALICE = Context(actor="alice")
MINUTE, HOUR = 60, 3_600


@pytest.mark.parametrize("off", [-MINUTE, MINUTE])
def test_a_worker_whose_clock_is_wrong_is_alive_all_the_same(database: Mode, off: int) -> None:
    heart = Heartbeats({"relay": lambda: True})
    with clock_off_by(off):
        heart._beat()
    assert [one.role for one in alive("relay")] == ["relay"]


@pytest.mark.parametrize("off", [-MINUTE, MINUTE])
def test_a_web_server_whose_clock_is_wrong_sees_who_is_alive(database: Mode, off: int) -> None:
    Heartbeats({"relay": lambda: True})._beat()
    with clock_off_by(off):
        assert [one.role for one in alive("relay")] == ["relay"]


def test_a_worker_that_has_not_beaten_for_long_is_dead(database: Mode) -> None:
    Heartbeats({"relay": lambda: True})._beat()
    beaten = Heartbeat.objects.get()
    Heartbeat.objects.update(beat_at=beaten.beat_at - timedelta(seconds=13))
    assert alive("relay") == []


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_a_key_takes_effect_once_though_clocks_differ(database: Mode, off: int) -> None:
    keyed = Context(actor="alice", command_id=uuid4(), remember_for=timedelta(minutes=30))
    first = mediator.send(NewPost(message="once"), keyed)
    with clock_off_by(off):
        assert mediator.send(NewPost(message="once"), keyed) == first
    other = Context(actor="alice", command_id=uuid4(), remember_for=timedelta(minutes=30))
    with clock_off_by(off):
        first = mediator.send(NewPost(message="twice"), other)
    assert mediator.send(NewPost(message="twice"), other) == first
    assert (Event.objects.count(), Receipt.objects.count()) == (2, 2)


def test_a_receipt_expires_when_its_time_is_over(database: Mode) -> None:
    keyed = Context(actor="alice", command_id=uuid4(), remember_for=timedelta(hours=1))
    first = mediator.send(NewPost(message="old"), keyed)
    receipt = Receipt.objects.get()
    assert receipt.expires_at is not None
    assert receipt.expires_at - receipt.created_at == timedelta(hours=1)
    Receipt.objects.update(expires_at=receipt.expires_at - timedelta(hours=1, seconds=1))
    assert mediator.send(NewPost(message="new"), keyed) != first


@pytest.mark.parametrize("off", [-MINUTE, MINUTE])
def test_consumers_of_one_group_see_each_other_though_clocks_differ(
    database: Mode, off: int
) -> None:
    bus = current_bus()
    bus.ensure_topic()
    here, there = bus.subscribe("readers"), bus.subscribe("readers")
    here.poll(timeout_s=0, max_records=1)
    with clock_off_by(off):
        second = there.poll(timeout_s=0, max_records=1).assignment
    assert len(second) == bus.identity().partitions // 2
    first = wait_until(lambda: _shared(here), "the first gives half of them up")
    assert first.isdisjoint(second)
    here.close()
    there.close()


def _shared(subscription: Subscription) -> frozenset[int]:
    polled = subscription.poll(timeout_s=0, max_records=1)
    return polled.assignment if polled.changed else frozenset()


def test_the_times_of_a_stream_never_go_back(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="0"), ALICE).stream_id
    with clock_off_by(-MINUTE):
        mediator.send(EditMessage(post_id=post_id, message="1"), ALICE)
        mediator.send(LikePost(post_id=post_id), ALICE)
    mediator.send(EditMessage(post_id=post_id, message="2"), ALICE)
    times = Event.objects.order_by("version").values_list("recorded_at", flat=True)
    assert times[0] == times[1] == times[2] < times[3]


@pytest.mark.parametrize("off", [-MINUTE, MINUTE])
def test_how_long_an_event_has_waited_is_told_by_the_databases_clock(
    database: Mode, off: int
) -> None:
    stream = uuid4()
    publish(record_of(stream, 2, MessageUpdated(post_id=stream, message="overtook the first")))
    with clock_off_by(off):
        consume_all()
    assert current_status().dead_letters == 0, "mostly the other comes at once"
    DeadLetter.objects.update(parked_at=F("parked_at") - HEALS_WITHIN)
    with clock_off_by(-off):
        assert current_status().dead_letters == 1


def test_what_is_restored_from_the_log_keeps_its_times(database: Mode) -> None:
    """Also those of before they were kept in order: else store and log would differ."""
    post_id, now = uuid4(), utc_now()
    earlier = now - timedelta(seconds=MINUTE)
    publish(
        record_of(
            post_id, 1, PostCreated(post_id=post_id, author="alice", message="1"), recorded_at=now
        ),
        record_of(post_id, 2, MessageUpdated(post_id=post_id, message="2"), recorded_at=earlier),
    )
    restored = here("restore-events")
    assert restored.returncode == 0, restored.stderr
    times = list(Event.objects.order_by("version").values_list("recorded_at", flat=True))
    assert times == [now, earlier]
