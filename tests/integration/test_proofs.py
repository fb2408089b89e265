"""A checkpoint, and the relay, know the last record that they saw: another one there is a loss."""

from collections.abc import Callable
from threading import Event as Flag
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connections

from commands_app.commands import EditMessage, NewPost
from messaging import conf, mediator
from messaging.bus import current_bus
from messaging.bus.base import LogRecord, Message, Place, partition_of
from messaging.bus.embedded import EmbeddedBus
from messaging.bus.models import EmbeddedRecord, Log
from messaging.eventstore.models import Acknowledged, Event
from messaging.exceptions import FencedOff, HistoryMismatch, LostTail
from messaging.message import Context
from messaging.projections.consuming import checkpoints, consumer
from messaging.projections.consuming.checkpoints import Move
from messaging.projections.consuming.transaction import pass_over
from messaging.projections.models import Checkpoint
from messaging.rebuilding import requests
from messaging.rebuilding.worker import RebuildWorker
from messaging.relay import log_identity, outbox, relay
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import Running, consume_all, shared
from tests.support.losing import a_post_in_each_partition, lose_records_before, lose_tail
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.rebuilding import at_step, rebuild, some_posts
from tests.support.records import publish
from tests.support.relaying import a_relay, known_log, publish_all, published

ALICE = Context(actor="alice")
EVERY = range(12)


def consumed_and_refilled() -> None:
    """The log loses a record of each partition, which others take the place of."""
    a_post_in_each_partition()
    publish_all()
    ends = current_bus().end_offsets()
    a_post_in_each_partition()
    publish_all()
    consume_all()
    lose_tail(ends)
    a_post_in_each_partition(2)
    publish_all()


def proof_of(partition: int) -> str:
    return Checkpoint.objects.get(projection="posts", partition=partition).proof


def test_a_batch_proves_its_last_record(mode: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    consume_all()
    partition = partition_of(str(post_id), 12)
    assert proof_of(partition) == f"0 event {Event.objects.get().event_id}"
    publish(Message(str(post_id), b"no event"))
    consume_all()
    assert proof_of(partition).startswith("1 digest ")
    checkpoints.require_same_log("posts", 1, current_bus(), EVERY)


def test_another_record_before_a_checkpoint_is_a_loss(database: Mode) -> None:
    consumed_and_refilled()
    with pytest.raises(LostTail, match="accept-going-back") as raised:
        checkpoints.require_same_log("posts", 1, current_bus(), EVERY)
    partition = raised.value.partition
    assert raised.value.offset == 1
    assert f"partition {partition}, offset 1" in str(raised.value)
    assert proof_of(partition).removeprefix("1 ") in str(raised.value)


def test_another_unreadable_record_before_a_checkpoint_is_a_loss(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    publish(Message(str(post_id), b"no event"))
    consume_all()
    lose_tail({partition_of(str(post_id), 12): 1})
    publish(Message(str(post_id), b"another"))
    with pytest.raises(LostTail):
        checkpoints.require_same_log("posts", 1, current_bus(), EVERY)


def test_a_record_that_is_missing_before_a_checkpoint_is_a_loss(database: Mode) -> None:
    some_posts()
    publish_all()
    consume_all()
    lose_tail({p: end - 1 for p, end in current_bus().end_offsets().items() if end})
    with pytest.raises(LostTail, match="no record"):
        checkpoints.require_same_log("posts", 1, current_bus(), EVERY)


def test_what_retention_deleted_before_a_checkpoint_is_none(mode: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    consume_all()
    lose_records_before(mode, partition_of(str(post_id), 12), 1)
    checkpoints.require_same_log("posts", 1, current_bus(), EVERY)
    log_identity.require_same_history(current_bus())


def test_a_checkpoint_without_a_proof_is_accepted_once(database: Mode) -> None:
    a_post_in_each_partition()
    publish_all()
    consume_all()
    before = list(Checkpoint.objects.order_by("partition").values())
    Checkpoint.objects.update(proof="")
    checkpoints.require_same_log("posts", 1, current_bus(), EVERY)
    assert list(Checkpoint.objects.order_by("partition").values()) == before
    lose_tail(dict.fromkeys(EVERY, 0))
    with pytest.raises(LostTail):
        checkpoints.require_same_log("posts", 1, current_bus(), EVERY)


def test_a_proof_that_is_made_up_for_replaces_no_newer_one(database: Mode) -> None:
    """The checkpoint was without one, and is moved by another consumer meanwhile."""

    class Overtaken(EmbeddedBus):
        def begin_offsets(self) -> dict[int, int]:
            Checkpoint.objects.filter(offset=1).update(offset=2, proof="1 event newer")
            return super().begin_offsets()

    a_post_in_each_partition()
    publish_all()
    consume_all()
    Checkpoint.objects.update(proof="")
    bus = Overtaken(conf.postlog().kafka.topic, 12)
    checkpoints.require_same_log("posts", 1, bus, EVERY)
    assert {proof_of(partition) for partition in EVERY} == {"1 event newer"}


def test_offsets_without_a_record_leave_the_proof_as_it_is(database: Mode) -> None:
    a_post_in_each_partition()
    publish_all()
    consume_all()
    before = proof_of(3)
    pass_over(posts, 1, {3: Move(1, 2)})
    row = Checkpoint.objects.get(projection="posts", partition=3)
    assert (row.offset, row.proof) == (2, before)
    with pytest.raises(FencedOff):
        pass_over(posts, 1, {3: Move(1, 2)})


def test_partitions_that_a_rebalance_brings_are_compared_before_they_are_read(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in ("IDENTITY_EVERY_S", "ASLEEP_AFTER_S"):
        monkeypatch.setattr(consumer, seconds, 3_600)  # nothing but the rebalance has it compare
    with Running() as stays, Running() as leaves:
        wait_until(lambda: shared(stays, leaves), "they share the partitions", 60)
        known = a_post_in_each_partition()
        publish_all()
        wait_until(lambda: Post.objects.count() == len(known), "both consume")
        EmbeddedRecord.objects.filter(partition__in=leaves.owned()).update(value=b"another")
        leaves.stop()
        a_post_in_each_partition()
        publish_all()
        wait_until(lambda: stays.error, "it sees that the log is another")
        assert isinstance(stays.error, LostTail)
        seen = Post.objects.exclude(stream_id__in=known).values_list("stream_id", flat=True)
        assert not {partition_of(str(one), 12) for one in seen} & leaves.owned()


@pytest.mark.parametrize(
    ("step", "state"), [("filling", "filling"), ("all streams are built", "catching up")]
)
def test_a_builder_that_resumes_compares_too(database: Mode, step: str, state: str) -> None:
    a_post_in_each_partition()
    publish_all()
    stop = Flag()

    def publish_more_and_stop() -> None:
        a_post_in_each_partition()
        publish_all()
        stop.set()

    with at_step(step, publish_more_and_stop):
        assert rebuild(posts, "store", stop).state == state
    lose_tail(dict.fromkeys(EVERY, 0))
    a_post_in_each_partition(3)
    publish_all()
    failed = rebuild(posts, "store")
    assert failed.state == "failed"
    assert "lost its tail" in failed.error


def test_a_hole_in_the_embedded_log_is_a_loss(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    for number in range(3):
        mediator.send(EditMessage(post_id=post_id, message=f"{number}"), ALICE)
    publish_all()
    partition = partition_of(str(post_id), 12)
    EmbeddedRecord.objects.filter(partition=partition, offset=2).delete()
    with pytest.raises(HistoryMismatch, match="between offsets 0 and 3"):
        list(current_bus().read(partition, 0, 4))


def test_a_hole_that_the_bus_does_not_report_is_a_loss(database: Mode) -> None:
    class Lossy(EmbeddedBus):
        def records(self, partition: int, start: int, count: int, size: int) -> list[LogRecord]:
            found = super().records(partition, start, count, size)
            return found[:1] + found[2:]

    a_post_in_each_partition(3)
    publish_all()
    bus = Lossy(conf.postlog().kafka.topic, 12)
    running = Running()
    running._consumer = consumer.Consumer(posts, bus)
    with running:
        wait_until(lambda: running.error or Post.objects.exists(), "it has read the log")
    assert "Records are missing" in str(running.error)
    assert not Post.objects.exists()
    built = requests.ask("posts", "log", "test")
    RebuildWorker(bus).build(built, Flag())
    built.refresh_from_db()
    assert built.state == "failed"
    assert "Records are missing" in built.error


def test_of_a_topic_that_was_made_anew_it_is_not_said_that_it_lost_its_tail(
    database: Mode,
) -> None:
    """Another night, with other commands."""
    a_post_in_each_partition()
    publish_all()
    consume_all()
    bus = current_bus()
    log_identity.require_same_log(bus.identity())
    at_work = consumer.Consumer(posts, bus)
    at_work._start()
    Log.objects.update(identity=uuid4())
    lose_tail(dict.fromkeys(EVERY, 0))
    with pytest.raises(HistoryMismatch, match="recreated"):
        at_work._require_same_log(EVERY)
    with pytest.raises(HistoryMismatch, match="recreated"):
        relay.Relay(bus)._compare(log_identity.require_acknowledged)


def test_the_relay_remembers_the_last_record_of_each_partition(mode: Mode) -> None:
    some_posts()
    publish_all()
    last = {}
    for partition, end in current_bus().end_offsets().items():
        if end:
            ((record,),) = current_bus().read(partition, end - 1, end)
            last[partition] = (record.offset, record.value)
    rows = {row.partition: row for row in Acknowledged.objects.all()}
    assert rows.keys() == last.keys()
    for partition, (offset, value) in last.items():
        assert rows[partition].offset == offset
        assert str(rows[partition].event_id) in (value or b"").decode()
    log_identity.require_same_history(current_bus())


def test_a_log_that_does_not_hold_what_it_acknowledged_stops_the_relay(database: Mode) -> None:
    a_post_in_each_partition()
    publish_all()
    ends = current_bus().end_offsets()
    lose_tail(dict.fromkeys(EVERY, 0))
    with pytest.raises(LostTail, match="republish --all --accept-new-log"):
        log_identity.require_same_history(current_bus())
    a_post_in_each_partition(2)
    lost = outbox.oldest(1_000)
    publish(*[one.message for one in lost])
    with pytest.raises(LostTail):
        log_identity.require_same_history(current_bus())
    assert here("republish", "--all", "--accept-new-log").returncode == 0
    log_identity.require_same_history(current_bus())
    publish_all()
    log_identity.require_same_history(current_bus())
    assert ends != current_bus().end_offsets()


def test_a_relay_at_work_looks_from_time_to_time(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "IDENTITY_EVERY_S", 0.1)
    found: list[BaseException] = []

    def run() -> None:
        try:
            relay.Relay(current_bus()).run(Flag())
        except BaseException as error:
            found.append(error)
        finally:
            connections.close_all()

    a_post_in_each_partition()
    thread = Thread(target=run)
    thread.start()
    wait_until(lambda: outbox.waiting() == 0, "it is published")
    lose_tail(dict.fromkeys(EVERY, 0))
    thread.join(30)
    (error,) = found  # OffsetOutOfRange, if the tail went while it looked
    assert isinstance(error, HistoryMismatch)


def acknowledged() -> dict[int, Acknowledged]:
    return {row.partition: row for row in Acknowledged.objects.all()}


def places() -> dict[int, tuple[int, object]]:
    return {partition: (row.offset, row.event_id) for partition, row in acknowledged().items()}


def test_a_log_that_is_put_back_under_a_relay_takes_neither_its_proofs_nor_its_outbox(
    database: Mode,
) -> None:
    a_post_in_each_partition()
    publish_all()
    ends = current_bus().end_offsets()
    with a_relay() as one:
        a_post_in_each_partition(2)
        published(one)
        before = places()
        lose_tail(ends)  # while it waits for the broker
        a_post_in_each_partition()
        with pytest.raises(LostTail, match="offset 1 this relay has seen another record") as raised:
            published(one)
    assert str(outbox.oldest(1)[0].event_id) in str(raised.value)
    assert "Nothing was done" not in str(raised.value)
    assert "The relay's last batch stands in the log" in str(raised.value)
    assert outbox.waiting() == 12, "its events are not in the log that is lost again"
    assert places() == before
    with pytest.raises(LostTail):
        log_identity.require_same_history(current_bus())


def test_a_log_that_is_put_back_within_a_batch_is_seen(database: Mode) -> None:
    a_post_in_each_partition()
    publish_all()
    with a_relay() as one:
        a_post_in_each_partition()
        waiting = outbox.oldest(3)
        one._require_behind(waiting, [Place(0, 1), Place(0, -1), Place(0, 2)])
        with pytest.raises(LostTail, match="partition 0, offset 1 "):
            one._require_behind(waiting, [Place(0, 1), Place(0, 2), Place(0, 1)])
        with pytest.raises(LostTail, match="partition 0, offset 0 "):
            one._require_behind(waiting, [Place(0, 1), Place(0, -1), Place(0, 0)])


def test_a_topic_that_was_made_anew_under_a_relay_is_called_that(database: Mode) -> None:
    a_post_in_each_partition()
    with a_relay() as one:
        one._require_same_log()
        published(one)
        lose_tail(dict.fromkeys(EVERY, 0))
        Log.objects.update(identity=uuid4())
        a_post_in_each_partition()
        with pytest.raises(HistoryMismatch, match="not the one that this store has published to"):
            published(one)
    assert outbox.waiting() == 12


def test_the_proof_of_a_relay_that_was_frozen_replaces_no_later_one(database: Mode) -> None:
    """It looked at its lock, and deletes the rows when another one has published them, too."""
    mediator.send(NewPost(message="a"), ALICE)
    (late,), log = outbox.oldest(1), known_log(current_bus())
    outbox.remove([late], [Place(3, 8)], log)
    outbox.remove([late._replace(event_id=str(uuid4()))], [Place(3, 7)], log)
    assert (acknowledged()[3].offset, str(acknowledged()[3].event_id)) == (8, late.event_id)
    outbox.remove([late._replace(event_id=str(uuid4()))], [Place(3, 9)], log)
    assert acknowledged()[3].offset == 9


@pytest.fixture
def put_back_behind_the_comparison(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The next comparison finds all in order, and then the log is put back."""
    require_acknowledged = log_identity.require_acknowledged

    def after(offset: int) -> None:
        def compare(bus: EmbeddedBus) -> None:
            require_acknowledged(bus)
            monkeypatch.setattr(log_identity, "require_acknowledged", require_acknowledged)
            lose_tail(dict.fromkeys(EVERY, offset))

        monkeypatch.setattr(log_identity, "require_acknowledged", compare)

    return after


def test_a_log_that_is_put_back_while_a_relay_at_work_compares_is_seen(
    database: Mode, put_back_behind_the_comparison: Callable[[int], None]
) -> None:
    a_post_in_each_partition(3)
    with a_relay() as one:
        published(one)
        put_back_behind_the_comparison(1)
        one._check_log()
        a_post_in_each_partition(5)
        with pytest.raises(LostTail):
            published(one)


def test_a_log_that_is_put_back_while_a_relay_starts_is_seen(
    database: Mode, put_back_behind_the_comparison: Callable[[int], None]
) -> None:
    a_post_in_each_partition(3)
    publish_all()
    put_back_behind_the_comparison(1)
    with pytest.raises(HistoryMismatch):
        log_identity.require_same_history(current_bus())
