"""The outbox under concurrent writers: what commits late is published late, and never skipped."""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread
from threading import Event as Flag
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from benchmarks.fill import many_events
from commands_app.commands import NewPost
from contracts.posts import PostCreated
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, Place, Publisher
from messaging.bus.models import Log
from messaging.eventstore.models import Acknowledged, LogIdentity
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.exceptions import BusError
from messaging.message import Context
from messaging.recovery import republish
from messaging.relay import outbox
from messaging.relay.relay import STANDBY_POLL_S, Interrupted, Relay
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode
from tests.support.relaying import a_relay, known_log

ALICE = Context(actor="alice")


def test_an_event_that_commits_between_read_and_delete_stays_in_the_outbox(
    postgresql: Mode,
) -> None:
    appended, go_on = Event(), Event()
    late = uuid4()

    def write_late() -> None:
        try:
            with unit_of_work(ALICE) as uow:
                uow.append("post", late, 0, [PostCreated(post_id=late, author="a", message="late")])
                LogIdentity.objects.count()  # any read: what waits is sent before it
                appended.set()
                assert go_on.wait(30)
        finally:
            connections.close_all()

    writer = Thread(target=write_late)
    writer.start()
    assert appended.wait(30)
    early = mediator.send(NewPost(message="early"), ALICE).stream_id
    read = outbox.oldest(1_000)
    assert [one.message.key for one in read] == [str(early)], "the lower position is not visible"
    go_on.set()
    writer.join()
    log = known_log(current_bus())
    outbox.remove(read, [Place(0, number) for number in range(len(read))], log)
    left: list[Any] = outbox.oldest(1_000)
    assert [one.message.key for one in left] == [str(late)]
    assert left[0].position < read[0].position


def test_what_is_on_its_way_is_not_read_again(database: Mode) -> None:
    ids = [mediator.send(NewPost(message=str(n)), ALICE).stream_id for n in range(4)]
    first = outbox.oldest(2)
    second = outbox.oldest(1_000, without=[one.position for one in first])
    assert [one.message.key for one in [*first, *second]] == [str(i) for i in ids]
    assert outbox.waiting() == 4


def test_a_batch_is_looked_up_however_many_events_there_are(postgresql: Mode) -> None:
    """The tables have no statistics, as after a first import."""
    many_events(20, 200)
    connection = connections["default"]
    with CaptureQueriesContext(connection) as captured:
        assert len(outbox.oldest(1_000)) == 1_000
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[-1]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "messaging_event_pkey" in plan, plan
    assert "Seq Scan on messaging_event" not in plan, plan


def test_a_relay_that_lost_its_lock_deletes_nothing(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_relay() as relay:
        mediator.send(NewPost(message="Hi"), ALICE)
        assert relay.run_once()
        monkeypatch.setattr(relay._leadership, "acquire", lambda: False)
        relay._finish()
    assert sum(current_bus().end_offsets().values()) == 1, "it is acknowledged"
    assert outbox.waiting() == 1, "but the next relay's to delete"


class Away(Publisher):
    """The broker takes what is sent, and acknowledges nothing."""

    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        def wait() -> list[Place]:
            raise BusError("not acknowledged")

        return wait

    def close(self) -> None:
        pass


def test_a_relay_that_lost_its_lock_while_it_read_sends_nothing(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been frozen meanwhile: another one has sent these, and what follows them."""
    with a_relay() as relay:
        mediator.send(NewPost(message="a"), ALICE)
        held = iter([True])
        monkeypatch.setattr(relay._leadership, "acquire", lambda: next(held, False))
        relay.run_once()
        assert sum(current_bus().end_offsets().values()) == 0
        assert outbox.waiting() == 1
        monkeypatch.undo()
        wait_until(lambda: not relay.run_once() and outbox.waiting() == 0, "it is published")


def test_a_relay_that_cannot_publish_waits_longer_each_time(
    database: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "postlog.relay")
    mediator.send(NewPost(message="Hi"), ALICE)
    bus = current_bus()
    monkeypatch.setattr(bus, "publisher", Away)
    stop = Flag()
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        # It stands by as well, until PostgreSQL has seen the end of its session before.
        if seconds >= 0.2 and seconds != STANDBY_POLL_S:
            pauses.append(seconds)
        if len(pauses) == 4:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(stop, "wait", wait)
    Relay(bus).run(stop)
    assert pauses == [0.2, 0.4, 0.8, 1.6]
    assert outbox.waiting() == 1


def test_a_relay_that_stops_while_the_broker_is_away_ends_in_order(
    database: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mediator.send(NewPost(message="Hi"), ALICE)
    bus = current_bus()
    monkeypatch.setattr(bus, "publisher", Away)
    relay, stop = Relay(bus), Flag()
    once = relay.run_once

    def run_once(_: Flag) -> bool:
        sent = once()
        stop.set()
        return sent

    monkeypatch.setattr(relay, "run_once", run_once)
    relay.run(stop)
    assert "What was on its way stays in the outbox." in caplog.text
    assert (outbox.waiting(), relay.is_active()) == (1, False)


def put_back() -> None:
    """The log keeps its identity then."""


def made_anew() -> None:
    Log.objects.update(identity=uuid4())


@pytest.mark.parametrize("becomes_another", [put_back, made_anew])
def test_a_relay_that_wakes_when_a_log_was_accepted_begins_anew(
    database: Mode, becomes_another: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other log acknowledged waits for this one: it is neither deleted nor proven."""

    def frozen_meanwhile() -> bool:
        becomes_another()
        republish.accept(relay._bus)
        republish.republish_all()
        return True

    with a_relay() as relay:
        mediator.send(NewPost(message="Hi"), ALICE)
        assert relay.run_once()
        monkeypatch.setattr(relay._leadership, "acquire", frozen_meanwhile)
        with pytest.raises(Interrupted):
            relay._finish()
    assert outbox.waiting() == 1
    assert not Acknowledged.objects.exists()


def test_rows_are_not_removed_while_a_log_is_being_accepted(postgresql: Mode) -> None:
    mediator.send(NewPost(message="Hi"), ALICE)
    pending, log = outbox.oldest(10), known_log(current_bus())
    found: list[bool] = []

    def remove() -> None:
        try:
            found.append(outbox.remove(pending, [Place(0, 0)], log))
        finally:
            connections.close_all()

    remover = Thread(target=remove)
    with transaction.atomic():
        LogIdentity.objects.update(accepted=1)
        remover.start()
        wait_until(lambda: found or waits_for_a_lock(), "it waits")
    remover.join(30)
    assert found == [False]
    assert outbox.waiting() == 1
    assert not Acknowledged.objects.exists()


def waits_for_a_lock() -> bool:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the same again
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_the_last_place_that_the_broker_named_is_remembered(database: Mode) -> None:
    """A broker that has a record already acknowledges it without an offset: -1."""
    for number in range(4):
        mediator.send(NewPost(message=f"{number}"), ALICE)
    first, second, third, fourth = outbox.oldest(10)
    log = known_log(current_bus())

    def remembered() -> list[tuple[int, int, str]]:
        rows = Acknowledged.objects.values_list("partition", "offset", "event_id")
        return [(partition, offset, str(event_id)) for partition, offset, event_id in rows]

    outbox.remove([first], [Place(5, 0)], log)
    assert remembered() == [(5, 0, first.event_id)]
    outbox.remove([second, third], [Place(5, 1), Place(5, -1)], log)
    assert remembered() == [(5, 1, second.event_id)]
    outbox.remove([fourth], [Place(5, -1)], log)
    assert remembered() == [(5, 1, second.event_id)]
    assert outbox.waiting() == 0
