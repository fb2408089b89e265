"""Offsets that hold no record, because Kafka's transactions put their markers there, stop
nothing; a record that is missing does."""

from uuid import UUID, uuid4

import pytest
from kafka import KafkaAdminClient, TopicPartition

from commands_app.commands import EditMessage, LikePost, NewPost
from contracts.posts import MessageUpdated
from messaging import codec, mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, Polled, Subscription, partition_of
from messaging.eventstore.models import Stream
from messaging.eventstore.scan import events_of
from messaging.exceptions import OffsetOutOfRange
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.message import Context
from messaging.monitoring.status import current_status, projection_status
from messaging.projections.consuming import checkpoints, consumer
from messaging.projections.consuming.checkpoints import Move
from messaging.projections.consuming.transaction import pass_over
from messaging.projections.models import Checkpoint
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving.live import live_root
from messaging.rebuilding import from_log
from messaging.rebuilding.from_log import LogTail
from messaging.testing.waiting import wait_until
from queries_app.projections import posts
from tests.support.consuming import Running, consume_all, take
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.losing import wipe_store
from tests.support.modes import KAFKA_CLIENT, Mode
from tests.support.processes import Worker, here, manage
from tests.support.rebuilding import rebuild, some_posts
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all
from tests.support.transactions import transaction

ALICE = Context(actor="alice")


def copies() -> list[Message]:
    """The records of all stored events once more, as a program that copies the topic writes."""
    streams = list(Stream.objects.values_list("pk", flat=True))
    return [
        Message(
            str(one.envelope.stream_id),
            codec.encode_record(one.envelope, one.data),
        )
        for one in events_of(streams)
    ]


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0


def test_reading_ends_at_an_end_that_is_a_control_record(postgresql: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    transaction(postgresql, copies())
    transaction(postgresql, copies(), commit=False)
    bus, partition = current_bus(), partition_of(str(post_id), 12)
    assert bus.end_offsets()[partition] == 5, "three records and two markers"
    found = [one for part in bus.read(partition, 0, 5) for one in part]
    assert [(one.offset, one.gap) for one in found] == [(0, 0), (1, 0), (3, 1)]
    assert list(bus.read(partition, 4, 5)) == []
    ranges = dict.fromkeys(range(12), (0, 0)) | {partition: (1, 4)}
    assert [one.offset for part in bus.read_ranges(ranges) for one in part] == [1, 3]


def test_everything_goes_on_over_committed_and_aborted_transactions(postgresql: Mode) -> None:
    some_posts()
    with Worker(postgresql.env, "runconsumer") as consumer:
        wait_until(drained, "all is consumed", 60)
        transaction(postgresql, copies())
        transaction(postgresql, copies(), commit=False)
        wait_until(drained, "the lag of markers alone becomes 0", 60)
        some_posts()
        wait_until(drained, "what follows the markers is consumed", 60)
        transaction(postgresql, copies(), commit=False)
        assert consumer.stop() == 0
    ends = current_bus().end_offsets()
    with Worker(postgresql.env, "runconsumer") as consumer:
        started = "partitions [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"
        wait_until(
            lambda: consumer.output().count(started) == len(PROJECTIONS), "a worker starts", 60
        )
        wait_until(drained, "it passes over a marker", 60)
        assert consumer.stop() == 0
    assert current_bus().end_offsets() == ends, "the relay had nothing to publish again"
    for row in Checkpoint.objects.filter(projection="posts"):
        assert row.offset == ends[row.partition]
    for source in ("log", "store"):
        built = rebuild(posts, source)
        assert built.state == "done", built.error
        assert_read_models_equal_the_fold(built.generation)
    verified = manage(postgresql.env, "verify")
    assert (verified.returncode, verified.stdout) == (0, f"{NO_DIFFERENCE}\n")


def follow(tail: LogTail, generation: int) -> None:
    """As a builder does."""
    for records, passed in tail.read_to(current_bus().end_offsets(), lambda: None):
        take(records, generation)
        if passed:
            pass_over(
                posts, generation, {p: Move(tail.positions[p], to) for p, to in passed.items()}
            )


def test_a_builder_reads_on_behind_a_marker_that_it_has_passed_over(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_log, "PATIENCE_S", 5)
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    bus = current_bus()
    generation = checkpoints.begin("posts", bus.identity())
    with from_log.log_tail(posts, generation, bus) as tail:
        for message in ("b", "c"):
            transaction(postgresql, copies())
            follow(tail, generation)
            mediator.send(EditMessage(post_id=post_id, message=message), ALICE)
            publish_all()
            follow(tail, generation)
    ends = bus.end_offsets()
    assert checkpoints.offsets("posts", generation, ends) == ends
    assert assert_read_models_equal_the_fold(generation) == 1


def test_a_partition_without_records_is_not_passed_over(any_bus: Mode) -> None:
    """Its checkpoint would look as if a consumer had moved it."""
    bus = current_bus()
    bus.ensure_topic()
    reader = bus.reader({0: 0})
    try:
        assert [reader.poll(timeout_s=0.1, max_records=1) for _ in range(3)] == [({}, {})] * 3
    finally:
        reader.close()


def test_a_store_is_restored_from_a_log_with_transactions(postgresql: Mode) -> None:
    some_posts()
    count = len(copies())
    publish_all()
    transaction(postgresql, copies())
    transaction(postgresql, copies(), commit=False)
    wipe_store()
    done = here("restore-events")
    assert f"{count} events of 6 streams were restored" in done.stdout, done.stderr
    with Worker(postgresql.env, "runconsumer") as consumer:
        wait_until(drained, "the relay accepts the history", 60)
        assert consumer.stop() == 0
    assert assert_read_models_equal_the_fold() == 6


def test_a_record_deleted_behind_a_marker_still_halts(postgresql: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    with Worker(postgresql.env, "runconsumer") as consumer:
        wait_until(drained, "all is consumed", 60)
        assert consumer.stop() == 0
    transaction(postgresql, copies())
    mediator.send(EditMessage(post_id=post_id, message="deleted unseen"), ALICE)
    publish_all()
    mediator.send(LikePost(post_id=post_id), ALICE)
    publish_all()
    partition = partition_of(str(post_id), 12)
    admin = KafkaAdminClient(bootstrap_servers=postgresql.env["KAFKA_BOOTSTRAP_SERVERS"])
    admin.delete_records({TopicPartition(postgresql.env["KAFKA_TOPIC"], partition): 4})
    admin.close()
    with Worker(postgresql.env, "runconsumer", "--no-relay") as consumer:
        assert consumer.wait(60) == 1
        assert "Records were lost" in consumer.output()
    at = checkpoints.offsets("posts", 1, [partition])[partition]
    with pytest.raises(OffsetOutOfRange):
        list(current_bus().read(partition, at, 5))


def test_a_partition_that_is_halted_before_a_marker_stays_halted(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One poll halts it, and a later one passes over the marker, which came with the same fetch."""
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    consume_all()
    repeats = copies()
    publish(record_of(post_id, 1, MessageUpdated(post_id=post_id, message="forged")))
    transaction(postgresql, repeats, commit=False)
    partition = partition_of(str(post_id), 12)
    polls: list[Polled] = []
    kind = type(subscription := current_bus().subscribe("of this test"))
    subscription.close()
    poll = kind.poll

    def watched(self: Subscription, *, timeout_s: float, max_records: int) -> Polled:
        polls.append(poll(self, timeout_s=timeout_s, max_records=max_records))
        return polls[-1]

    monkeypatch.setattr(kind, "poll", watched)
    monkeypatch.setattr(consumer, "IDENTITY_EVERY_S", 0.2)
    with Running() as running:
        if KAFKA_CLIENT == "kafka-python":  # the other drops what it has of a paused partition
            wait_until(lambda: any(partition in one.passed for one in polls), "it meets the marker")
        after = len(polls) + 3  # in which it would have sought, and halted again
        wait_until(lambda: len(polls) >= after, "it goes on polling")
        other = mediator.send(NewPost(post_id=elsewhere(partition), message="b"), ALICE).stream_id
        publish_all()
        wait_until(lambda: live_root(posts, other), "other partitions are consumed")
        assert caplog.text.count(f"partition {partition} is halted") == 1
        row = Checkpoint.objects.get(projection="posts", partition=partition)
        assert (row.offset, row.halted[:5]) == (1, "Fork:"), "it stands before the fork"
        assert rebuild(posts, "store").state == "done"
        transaction(postgresql, copies(), commit=False)
        wait_until(is_level, "once cured, it passes over markers again")
    assert running.error is None


def is_level() -> bool:
    return projection_status("posts", current_bus().end_offsets()).lag == 0


def elsewhere(partition: int) -> UUID:
    """The id of a stream in another partition."""
    ids = iter(uuid4, None)
    return next(one for one in ids if partition_of(str(one), 12) != partition)
