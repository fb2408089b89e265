"""The outbox under concurrent writers: what commits late is published late, and never skipped."""

from threading import Event, Thread
from typing import Any
from uuid import uuid4

from django.db import connections

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import Place
from messaging.contracts.posts import PostCreated
from messaging.eventstore import outbox
from messaging.eventstore.models import Acknowledged
from messaging.eventstore.relay import Relay
from messaging.eventstore.unit import UnitOfWork, in_one_transaction
from messaging.message import Context, Result
from tests.support.modes import Mode

ALICE = Context(actor="alice")


def test_an_event_that_commits_between_read_and_delete_stays_in_the_outbox(
    postgresql: Mode,
) -> None:
    appended, go_on = Event(), Event()
    late = uuid4()

    def append_and_wait(unit: UnitOfWork) -> Result:
        unit.append("post", late, 0, [PostCreated(post_id=late, author="a", message="late")])
        appended.set()
        assert go_on.wait(30)
        return Result(stream_id=late, version=1, ids={}, created=True)

    def write_late() -> None:
        try:
            in_one_transaction(ALICE, append_and_wait)
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
    outbox.remove(read, [Place(0, number) for number in range(len(read))])
    left: list[Any] = outbox.oldest(1_000)
    assert [one.message.key for one in left] == [str(late)]
    assert left[0].position < read[0].position


def test_what_is_on_its_way_is_not_read_again(database: Mode) -> None:
    ids = [mediator.send(NewPost(message=str(n)), ALICE).stream_id for n in range(4)]
    first = outbox.oldest(2)
    second = outbox.oldest(1_000, without=[one.position for one in first])
    assert [one.message.key for one in [*first, *second]] == [str(i) for i in ids]
    assert outbox.waiting() == 4


def test_a_relay_that_lost_its_lock_deletes_nothing(database: Mode) -> None:
    bus = current_bus()
    bus.ensure_topic()
    mediator.send(NewPost(message="Hi"), ALICE)
    relay = Relay(bus)
    relay._publisher = bus.publisher()
    assert relay.publish_next(lambda: True)
    relay.publish_next(lambda: False)
    relay._publisher.close()
    assert sum(bus.end_offsets().values()) == 1, "it is acknowledged"
    assert outbox.waiting() == 1, "but the next relay's to delete"


def test_the_last_place_that_the_broker_named_is_remembered(database: Mode) -> None:
    """A broker that has a record already acknowledges it without an offset: -1."""
    for number in range(4):
        mediator.send(NewPost(message=f"{number}"), ALICE)
    first, second, third, fourth = outbox.oldest(10)

    def remembered() -> list[tuple[int, int, str]]:
        rows = Acknowledged.objects.values_list("partition", "offset", "event_id")
        return [(partition, offset, str(event_id)) for partition, offset, event_id in rows]

    outbox.remove([first], [Place(5, 0)])
    assert remembered() == [(5, 0, first.event_id)]
    outbox.remove([second, third], [Place(5, 1), Place(5, -1)])
    assert remembered() == [(5, 1, second.event_id)]
    outbox.remove([fourth], [Place(5, -1)])
    assert remembered() == [(5, 1, second.event_id)]
    assert outbox.waiting() == 0
