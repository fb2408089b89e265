"""Each way to lose the log, made for real: it is seen, nothing is applied wrongly, and the
commands that the message names restore it."""

import gc
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import TopicAlreadyExistsError

from commands_app.commands import EditMessage, NewPost
from dev.kafka_server import KafkaServer
from dev.server import temporary_folder
from messaging import mediator
from messaging.bus import current_bus
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint
from messaging.testing.delivery import deliver_all
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from tests.support.fold import (
    assert_histories_equal_the_fold,
    assert_likes_equal_the_fold,
    assert_read_models_equal_the_fold,
)
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import Worker, here, manage
from tests.support.rebuilding import some_posts

ALICE = Context(actor="alice")


def admin(mode: Mode) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])


def published_and_deleted(mode: Mode) -> None:
    """While the consumer was away, and longer than the log keeps them."""
    for number in range(20):
        mediator.send(NewPost(message=f"unseen {number}"), ALICE)
    with Worker(mode.env, "runrelay") as relay:
        wait_until(lambda: current_status().outbox == 0, "they are published")
        assert relay.stop() == 0
    client, topic = admin(mode), mode.env["KAFKA_TOPIC"]
    ends = current_bus().end_offsets()
    client.delete_records({TopicPartition(topic, p): end for p, end in ends.items()})
    client.close()


def checkpoint_beyond_the_end(mode: Mode) -> None:
    """The broker was put back to an earlier copy of its data: to the consumer it is this."""
    for row in Checkpoint.objects.all():
        row.offset += 1_000
        row.save()


def topic_deleted(mode: Mode) -> None:
    client = admin(mode)
    client.delete_topics([mode.env["KAFKA_TOPIC"]])
    client.close()


def topic_made_again_with_fewer_partitions(mode: Mode) -> None:
    topic_deleted(mode)
    client, topic = admin(mode), mode.env["KAFKA_TOPIC"]

    def made() -> bool:
        try:
            client.create_topics({topic: {"num_partitions": 6, "replication_factor": 1}})
        except TopicAlreadyExistsError:  # it is still being deleted
            return False
        return True

    wait_until(made, "the topic is made again")
    client.close()


LOSSES: dict[str, tuple[Callable[[Mode], None], str, tuple[str, ...]]] = {
    # how it comes about, what the message says, and who has to refuse
    "records deleted": (published_and_deleted, "Records were lost", ("runconsumer",)),
    "beyond the end": (checkpoint_beyond_the_end, "Records were lost", ("runconsumer",)),
    "topic deleted": (topic_deleted, "The log is not the one", ("runrelay", "runconsumer")),
    "fewer partitions": (
        topic_made_again_with_fewer_partitions,
        "has 6 partitions",
        ("runrelay", "runconsumer"),
    ),
}


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_loss_is_seen_and_mended_by_the_commands_that_the_message_names(
    postgresql: Mode, loss: str
) -> None:
    lose, says, refuse = LOSSES[loss]
    verified = lost_and_mended(postgresql, lambda: lose(postgresql), says, refuse)
    if (
        loss == "records deleted"
    ):  # the read models are restored; it still says that the log is short
        assert "the log has lost the records before offset" in verified.stdout
        assert not [line for line in verified.stdout.splitlines() if line.startswith("posts")]
    else:
        assert (verified.returncode, verified.stdout) == (0, f"{NO_DIFFERENCE}\n")


def test_a_broker_whose_data_were_wiped_is_seen_and_mended(
    django_db_blocker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To its clients it is another cluster behind the same address."""
    broker = KafkaServer(temporary_folder("kafka"))

    def lose() -> None:
        current_bus().close()  # else its client would have to find out first
        broker.wipe()
        broker.start()

    try:
        broker.start()
        monkeypatch.setenv("TEST_KAFKA", broker.bootstrap_servers)
        with django_db_blocker.unblock(), fresh_mode("postgresql", "kafka", tmp_path) as mode:
            verified = lost_and_mended(
                mode, lose, "The log is not the one", ("runrelay", "runconsumer")
            )
            assert (verified.returncode, verified.stdout) == (0, f"{NO_DIFFERENCE}\n")
    finally:
        broker.wipe()
        with warnings.catch_warnings():
            # Of the client's attempts while there was no broker: it leaves its sockets open.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def lost_and_mended(
    mode: Mode, lose: Callable[[], None], says: str, refuse: tuple[str, ...]
) -> CompletedProcess[str]:
    """What `verify` says in the end."""
    some_posts()
    deliver_all()
    seen = shown()

    lose()
    mediator.send(EditMessage(post_id=an_open_post(), message="after the loss"), ALICE)
    for command in refuse:
        with Worker(mode.env, *no_relay(command)) as worker:
            assert worker.wait(60) == 1, f"{command} refuses to go on"
            message = worker.output()
        assert says in message
    assert shown() == seen, "nothing was applied"

    if says == "The log is not the one":
        assert "The checkpoint is of another log." in here("status").stdout
    if "has 6 partitions" in message:
        assert "delete it" in message
        topic_deleted(mode)
    commands = re.findall(r"`manage.py ([^`]+)`", " ".join(message.split()))
    assert commands
    for command in dict.fromkeys(commands):
        done = manage(mode.env, *command.split())
        assert done.returncode == 0, f"{command}: {done.stderr}"
    consumed(mode)
    assert_read_models_equal_the_fold(checkpoints.live_generation("posts"))
    assert_histories_equal_the_fold(checkpoints.live_generation("history"))
    assert_likes_equal_the_fold(checkpoints.live_generation("likes"))
    return here("verify")


def no_relay(command: str) -> list[str]:
    return [command, "--no-relay"] if command == "runconsumer" else [command]


def consumed(mode: Mode) -> None:
    with Worker(mode.env, "runconsumer") as consumer:
        wait_until(drained, "all is consumed", 60)
        assert consumer.stop() == 0


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0


def shown() -> dict[UUID, int]:
    return dict(Post.objects.values_list("stream_id", "version"))


def an_open_post() -> UUID:
    found: UUID = Post.objects.filter(visible=True).values_list("stream_id", flat=True)[0]
    return found
