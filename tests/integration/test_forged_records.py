"""Records that no relay wrote are reported, and one command leads out of every state."""

import logging
from threading import Event as Flag
from threading import Thread
from uuid import UUID, uuid4

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from commands_app.commands import EditMessage, LikePost, NewPost
from contracts.posts import MessageUpdated, PostLiked
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, Place, partition_of
from messaging.eventstore.models import Acknowledged, Event
from messaging.exceptions import HistoryMismatch
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.message import Context
from messaging.monitoring.models import OperatorAction
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint, DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.relay import log_identity, outbox, relay
from messaging.testing.waiting import wait_until
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.losing import wipe_store
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.rebuilding import at_step, rebuild
from tests.support.records import publish, record_of
from tests.support.relaying import a_relay, at_work, publish_all, published

ALICE, BOB = Context(actor="alice"), Context(actor="bob")


def a_post(likes: int = 1) -> UUID:
    post_id = mediator.send(NewPost(message="genuine"), ALICE).stream_id
    for number in range(likes):
        mediator.send(LikePost(post_id=post_id), Context(actor=f"person{number}"))
    return post_id


def forge(post_id: UUID, version: int) -> list[str]:
    """Publish an event that no relay wrote; returns what names it."""
    event_id = uuid4()
    event = MessageUpdated(post_id=post_id, message="forged")
    publish(record_of(post_id, version, event, event_id=event_id))
    partition = partition_of(str(post_id), 12)
    return [str(partition), str(current_bus().end_offsets()[partition] - 1), str(event_id)]


def reject(place: list[str]) -> None:
    done = here("reject-record", *place)
    assert done.returncode == 0, done.stderr


def restarted() -> None:
    """A relay that takes the lock compares first."""
    log_identity.require_same_history(current_bus())


def verified() -> str:
    return here("verify", "--patience", "0").stdout.removesuffix(f"{NO_DIFFERENCE}\n")


def test_rubbish_and_other_types_do_not_stop_a_relay_but_an_unknown_event_does(
    database: Mode,
) -> None:
    post_id = a_post()
    publish_all()
    publish(Message(str(post_id), b"rubbish"))
    other = uuid4()
    publish(record_of(other, 1, PostLiked(post_id=other, username="x"), stream_type="order"))
    restarted()
    unknown = uuid4()
    place = forge(unknown, 1)
    with pytest.raises(HistoryMismatch, match="reject-record " + " ".join(place)):
        restarted()


def test_one_command_leads_out_when_all_refuse_for_the_others_reason(mode: Mode) -> None:
    post_id = a_post()
    publish_all()
    consume_all()
    place = forge(post_id, 2)
    assert "Fork" in "".join(consume_all().values())
    with pytest.raises(HistoryMismatch, match="restore-events"):
        restarted()
    assert "two records of version 2" in here("restore-events").stderr
    failed = rebuild(posts, "log")
    assert failed.state == "failed"
    assert "reject-record " + " ".join(place) in failed.error
    assert "two histories" in verified()

    reject(place)
    action = OperatorAction.objects.get(action="reject-record")
    assert action.detail == "partition {} offset {} event {}".format(*place)
    restarted()
    assert "0 events of 0 streams were restored" in here("restore-events").stdout
    assert consume_all() == {}
    assert rebuild(posts, "log").state == "done"
    mediator.send(EditMessage(post_id=post_id, message="behind it"), ALICE)
    publish_all()
    assert consume_all() == {}
    assert assert_read_models_equal_the_fold(3) == 1
    assert not Checkpoint.objects.exclude(halted="").exists()
    for one in PROJECTIONS.keys() - {"posts"}:
        assert here("rebuild", one).returncode == 0
    assert verified() == ""


def test_a_forged_event_that_readers_see_is_taken_back(database: Mode) -> None:
    post_id = a_post()
    publish_all()
    consume_all()
    place = forge(post_id, 3)
    consume_all()
    with pytest.raises(AssertionError):
        assert_read_models_equal_the_fold(1)
    mediator.send(EditMessage(post_id=post_id, message="the genuine third"), ALICE)
    publish_all()
    assert "Fork" in "".join(consume_all().values())
    reject(place)
    restarted()
    assert rebuild(posts, "log").state == "done"
    assert assert_read_models_equal_the_fold(2) == 1

    place = forge(post_id, 4)
    consume_all()
    reject(place)
    assert "Readers have seen version 4" in rebuild(posts, "store").error
    back = here("rebuild", "posts", "--from", "store", "--accept-going-back")
    assert back.returncode == 0, back.stderr
    assert assert_read_models_equal_the_fold(4) == 1


def test_a_forged_event_leaves_the_dead_letters(database: Mode) -> None:
    post_id = a_post()
    publish_all()
    consume_all()
    place = forge(post_id, 9)
    consume_all()
    assert DeadLetter.objects.get().version == 9
    reject(place)
    assert not DeadLetter.objects.exists()
    for number in range(9):
        mediator.send(EditMessage(post_id=post_id, message=f"edit {number}"), ALICE)
    publish_all()
    assert consume_all() == {}
    assert assert_read_models_equal_the_fold(1) == 1


def test_of_the_dead_letters_only_that_of_the_rejected_record_goes(database: Mode) -> None:
    publish_all()
    place = forge(uuid4(), 9)
    consume_all()
    dead_letter = DeadLetter.objects.get()
    checkpoints.begin("history", current_bus().identity())

    def beside(**changes: object) -> int:
        fields = {
            field.name: getattr(dead_letter, field.name) for field in dead_letter._meta.fields
        }
        return DeadLetter.objects.create(**(fields | {"id": None} | changes)).pk

    left = {
        beside(projection="history", event_id=uuid4()),  # from the same place of an earlier log
        beside(generation=dead_letter.generation + 1),  # which is gone already
    }
    reject(place)
    assert set(DeadLetter.objects.values_list("pk", flat=True)) == left


def test_a_letter_is_not_taken_from_whoever_applies_it(postgresql: Mode) -> None:
    publish_all()
    place = forge(uuid4(), 9)
    consume_all()
    at_work = Thread(target=reject_in_a_thread, args=(place,))
    with transaction.atomic(using="read"):
        checkpoints.hold("posts", 1, [int(place[0])])
        at_work.start()
        wait_until(
            lambda: not at_work.is_alive() or waits_for_a_lock(), "it comes to the dead letter"
        )
        assert waits_for_a_lock()
        assert DeadLetter.objects.exists()
    at_work.join(60)
    assert not DeadLetter.objects.exists()


def reject_in_a_thread(place: list[str]) -> None:
    try:
        reject(place)
    finally:
        connections.close_all()


def waits_for_a_lock() -> bool:
    """Any session of the read database."""
    name = connections["read"].settings_dict["NAME"]
    with connections["default"].cursor() as cursor:  # a transaction sees them as they were once
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
            [name],
        )
        return bool(cursor.fetchone()[0])


def test_accepting_to_go_back_holds_for_a_rebuild_that_goes_on(database: Mode) -> None:
    """But not for one from the other source, which may have what this one lacks."""
    post_id = a_post()
    publish_all()
    consume_all()
    place = forge(post_id, 3)
    consume_all()
    reject(place)
    stop = Flag()
    with at_step("filling", stop.set):
        assert rebuild(posts, "store", stop).state != "failed"
    refused = here("rebuild", "posts", "--from", "log", "--accept-going-back")
    assert refused.returncode == 1
    assert "under way already: generation 2, from the store" in refused.stderr
    back = here("rebuild", "posts", "--from", "store", "--accept-going-back")
    assert back.returncode == 0, back.stderr
    assert "Resuming what was interrupted" in back.stdout
    action = OperatorAction.objects.filter(action="rebuild").latest("id")
    assert action.detail == "posts from the store, accept going back"
    assert assert_read_models_equal_the_fold(2) == 1


def test_cancelling_accepts_nothing(sqlite: Mode) -> None:
    assert here("rebuild", "posts", "--cancel", "--accept-going-back").returncode == 2
    assert not OperatorAction.objects.exists()


def test_a_lost_store_is_restored_without_the_forged_event(database: Mode) -> None:
    post_id = a_post()
    publish_all()
    before = list(Event.objects.order_by("version").values_list("event_id", flat=True))
    place = forge(post_id, 2)
    wipe_store()
    assert here("restore-events").returncode == 1
    reject(place)
    assert here("restore-events").returncode == 0
    after = Event.objects.order_by("version").values_list("event_id", flat=True)
    assert list(after) == before


def test_a_genuine_record_and_a_wrong_place_are_not_rejected(database: Mode) -> None:
    post_id = a_post(likes=0)
    publish_all()
    event_id = str(Event.objects.get().event_id)
    partition = str(partition_of(str(post_id), 12))
    for place, says in (
        ([partition, "0", event_id], "it is no forgery"),
        ([partition, "0", str(uuid4())], f"holds event {event_id}, not"),
        ([partition, "1", event_id], "holds no record"),
        (["99", "0", event_id], "holds no record"),
    ):
        refused = here("reject-record", *place)
        assert refused.returncode == 1
        assert says in refused.stderr
    assert not OperatorAction.objects.exists()


def test_a_genuine_record_at_the_same_place_of_a_new_log_is_not_rejected(database: Mode) -> None:
    from tests.support.losing import recreate_topic

    post_id = a_post()
    publish_all()
    place = forge(post_id, 3)
    reject(place)
    recreate_topic(database)
    assert here("republish", "--all", "--accept-new-log").returncode == 0
    mediator.send(EditMessage(post_id=post_id, message="another"), ALICE)
    publish_all()
    assert current_bus().end_offsets()[int(place[0])] == 3
    consume_all()
    assert assert_read_models_equal_the_fold(1) == 1


def test_all_behind_the_last_acknowledged_record_and_the_last_ones_are_compared(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = a_post()
    publish_all()
    place = forge(post_id, 9)
    mediator.send(LikePost(post_id=post_id), ALICE)
    publish(*[one.message for one in outbox.oldest(10)])  # by a relay that was killed then
    monkeypatch.setattr(log_identity, "TAIL", 1)
    with pytest.raises(HistoryMismatch, match=place[2]):
        restarted()
    publish_all()
    restarted()
    monkeypatch.setattr(log_identity, "TAIL", 100)
    with pytest.raises(HistoryMismatch, match=place[2]):
        restarted()


def test_a_relay_at_work_reports_a_record_with_an_older_version_and_another_id(
    mode: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post_id = a_post(likes=4)
    monkeypatch.setattr(relay, "IDENTITY_EVERY_S", 0.1)
    running = at_work(relay.Relay(current_bus()))
    with caplog.at_level(logging.ERROR, "postlog.relay"), running:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        place = forge(post_id, 2)
        wait_until(lambda: " ".join(place) in caplog.text, "it is reported")
        assert f"holds version 2 of stream {post_id}" in caplog.text
        mediator.send(LikePost(post_id=post_id), BOB)
        wait_until(lambda: outbox.waiting() == 0, "it still publishes")
    assert caplog.text.count(place[2]) == 2, "once, in its place and in the command"


def test_a_record_between_its_own_is_reported_at_once(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    post_id = a_post(likes=4)
    publish_all()
    with a_relay() as one:
        place = forge(post_id, 2)
        mediator.send(LikePost(post_id=post_id), BOB)
        published(one)
    assert " ".join(place) in caplog.text
    assert Acknowledged.objects.get().offset == int(place[1]) + 1


def test_each_of_several_records_between_its_own_is_reported(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    post_id = a_post()
    publish_all()
    one = relay.Relay(current_bus())
    one._compared = log_identity.require_same_history(current_bus())
    places, forged = [], []
    for version in (1, 2):
        forged.append(forge(post_id, version))
        mediator.send(EditMessage(post_id=post_id, message=f"edit {version}"), ALICE)
        publish_all()
        places.append(Place(int(forged[-1][0]), int(forged[-1][1]) + 1))
    one._report_foreign(places)
    one._report_foreign([Place(places[-1].partition, -1)])  # the broker had it already
    mediator.send(LikePost(post_id=post_id), BOB)
    publish_all()
    one._report_foreign([Place(places[-1].partition, places[-1].offset + 1)])
    for place in forged:
        assert " ".join(place) in caplog.text
        assert caplog.text.count(place[2]) == 2, "once, in its place and in the command"


class StopsAtLook(Flag):
    """Set when it is looked at for the n-th time."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._left = n

    def is_set(self) -> bool:
        self._left -= 1
        if self._left == 0:
            self.set()
        return super().is_set()


@pytest.fixture
def compared_one_by_one(database: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that starts has 50 records to compare, and an event to publish."""
    post_id = a_post(likes=49)
    publish_all()
    mediator.send(EditMessage(post_id=post_id, message="waits"), ALICE)
    monkeypatch.setattr(log_identity, "AT_ONCE", 1)


def test_what_is_compared_is_looked_up_many_at_once(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_post(likes=49)
    publish_all()
    publish(Message("key", b"rubbish"))
    monkeypatch.setattr(log_identity, "AT_ONCE", 20)
    looks: list[None] = []
    with CaptureQueriesContext(connections["default"]) as found:
        log_identity.require_same_history(current_bus(), lambda: looks.append(None))
    asked = [one for one in found.captured_queries if "messaging_event " in one["sql"]]
    assert len(asked) == 3
    assert len(looks) in (3, 4), "with the rubbish, which may be in a partition of its own"


@pytest.mark.usefixtures("compared_one_by_one")
def test_a_relay_that_has_much_to_compare_stops_when_it_is_told_to() -> None:
    relay.Relay(current_bus()).run(StopsAtLook(20))
    assert outbox.waiting() == 1


@pytest.mark.usefixtures("compared_one_by_one")
def test_a_relay_that_loses_its_lock_while_it_compares_does_not_lead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And asking for the lock keeps it: PostgreSQL ends a session that is silent for 10 s."""
    held = [True] * 20 + [False] + [True] * 20
    one = relay.Relay(current_bus())
    monkeypatch.setattr(one._leadership, "acquire", lambda: held.pop(0))
    assert not one.run_once(StopsAtLook(1_000))
    assert not one.is_active()
    assert outbox.waiting() == 1


@pytest.mark.usefixtures("compared_one_by_one")
def test_a_relay_that_has_much_to_report_looks_whether_it_is_to_stop() -> None:
    one = relay.Relay(current_bus())
    looks: list[None] = []
    one._check_cancelled = lambda: looks.append(None)
    one._report({partition: (0, end) for partition, end in current_bus().end_offsets().items()})
    assert len(looks) == 50
