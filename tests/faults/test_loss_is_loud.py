"""What harms the history stops the part that would spread it, and says why."""

from pathlib import Path
from uuid import UUID, uuid4

from commands_app.commands import EditMessage, LikePost, NewPost
from messaging import codec, mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, partition_of
from messaging.eventstore.models import Event, LogIdentity
from messaging.message import Context, Envelope, utc_now
from messaging.monitoring.status import current_status
from messaging.projections.models import Checkpoint
from messaging.projections.serving.live import live
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.losing import copy_of_write_database, put_back, recreate_topic
from tests.support.modes import Mode
from tests.support.processes import Worker

ALICE = Context(actor="alice")


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0


def test_a_store_put_back_to_an_earlier_copy_publishes_nothing(
    postgresql: Mode, tmp_path: Path
) -> None:
    post_id = uuid4()
    mediator.send(NewPost(post_id=post_id, message="before"), ALICE)
    with Worker(postgresql.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    copy = copy_of_write_database(postgresql, tmp_path)
    mediator.send(EditMessage(post_id=post_id, message="lost by the restore"), ALICE)
    with Worker(postgresql.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    ends = current_bus().end_offsets()

    put_back(postgresql, copy)
    mediator.send(EditMessage(post_id=post_id, message="a second history"), ALICE)
    with Worker(postgresql.env, "runrelay") as relay:
        assert relay.wait() == 1
        assert "The store is behind the topic" in relay.output()
        assert "restore-events" in relay.output()
    assert current_bus().end_offsets() == ends, "nothing was published"


def test_a_fork_halts_its_partition_and_no_other(mode: Mode) -> None:
    forked, sound = uuid4(), uuid4()
    while partition_of(str(sound), 12) == partition_of(str(forked), 12):
        sound = uuid4()
    for post_id in (forked, sound):
        mediator.send(NewPost(post_id=post_id, message="first"), ALICE)
    with Worker(mode.env, "runconsumer") as consumer:
        wait_until(drained, "both are there")
        publish_fork(forked)
        wait_until(lambda: "is halted" in consumer.output(), "the fork is seen")
        mediator.send(EditMessage(post_id=forked, message="behind the fork"), ALICE)
        mediator.send(EditMessage(post_id=sound, message="second"), ALICE)
        wait_until(lambda: version_of(sound) == 2, "the other stream goes on")
        assert version_of(forked) == 1
        of_posts = Checkpoint.objects.exclude(halted="").filter(projection="posts")
        wait_until(of_posts.exists, "it is noted")
        halted = of_posts.get()
        assert halted.partition == partition_of(str(forked), 12)
        assert "Fork" in halted.halted
        assert consumer.stop() == 0


def publish_fork(post_id: UUID) -> None:
    """Another event with a version that the stream has already."""
    stored = Event.objects.get(stream_id=post_id, version=1)
    envelope = Envelope(
        event_id=uuid4(),
        stream_id=post_id,
        stream_type=stored.stream_type,
        version=1,
        type=stored.type,
        recorded_at=utc_now(),
        actor="alice",
        command_id=uuid4(),
        correlation_id=uuid4(),
        causation_id=None,
        traceparent="",
    )
    publisher = current_bus().publisher()
    publisher.publish([Message(str(post_id), codec.encode_record(envelope, stored.data))])
    publisher.close()


def test_a_topic_made_anew_halts_running_and_restarted_workers(mode: Mode) -> None:
    post_id = uuid4()
    mediator.send(NewPost(post_id=post_id, message="first"), ALICE)
    with (
        Worker(mode.env, "runrelay") as relay,
        Worker(mode.env, "runconsumer", "--no-relay") as consumer,
    ):
        wait_until(drained, "it is applied")
        recreate_topic(mode)
        assert consumer.wait(90) == 1, "the running consumer halts"
        assert "The log is not the one" in consumer.output()
        assert relay.wait(90) == 1, "the running relay halts"
        assert "The log is not the one" in relay.output()
    mediator.send(LikePost(post_id=post_id), ALICE)
    for command in (["runrelay"], ["runconsumer", "--no-relay"]):
        with Worker(mode.env, *command) as worker:
            assert worker.wait(90) == 1, "a restarted one halts"
            assert "The log is not the one" in worker.output()
    assert version_of(post_id) == 1
    assert outbox.waiting() == 1, "nothing was skipped"


def version_of(post_id: UUID) -> int:
    return (
        live(posts, Post).filter(stream_id=post_id).values_list("version", flat=True).first() or 0
    )


def test_the_first_relay_remembers_its_log(sqlite: Mode) -> None:
    mediator.send(NewPost(message="first"), ALICE)
    with Worker(sqlite.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    assert LogIdentity.objects.get().identity == str(current_bus().identity())
