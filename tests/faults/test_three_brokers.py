"""On three brokers the loss of one, with its disk, loses nothing and stops nobody."""

import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaAdminClient

from commands_app.commands import LikePost, NewPost
from dev.kafka_server import KafkaCluster
from dev.server import temporary_folder
from messaging import mediator
from messaging.bus import current_bus
from messaging.message import Context
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from queries_app.models import History, Likes, Person, Post, SearchedPost
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import Worker, manage
from tests.support.settings import postlog
from tests.support.topic import assert_the_log_tells_the_store

ALICE = Context(actor="alice")


# Four starts of a broker, which take long where several tests run at once.
pytestmark = [
    pytest.mark.timeout(900),
    # The client leaves its sockets open after attempts while a broker was dead.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def alive(cluster: KafkaCluster) -> int:
    client = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers.split(","))
    try:
        return len(client.describe_cluster()["brokers"])
    finally:
        client.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    found = KafkaCluster(temporary_folder("kafka-cluster"))
    try:
        found.start()
        wait_until(lambda: alive(found) == 3, "all brokers know each other", 120)
        yield found
    finally:
        found.wipe()


@pytest.fixture
def three(
    cluster: KafkaCluster, django_db_blocker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mode]:
    monkeypatch.setenv("TEST_KAFKA", cluster.bootstrap_servers)
    with django_db_blocker.unblock(), fresh_mode("postgresql", "kafka", tmp_path) as mode:
        yield mode
    gc.collect()  # those sockets, while their warnings are ignored


def partitions(mode: Mode) -> list[dict[str, Any]]:
    client = KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"].split(","))
    try:
        [topic] = client.describe_topics([mode.env["KAFKA_TOPIC"]])
        found: list[dict[str, Any]] = topic["partitions"]
        return found
    finally:
        client.close()


def all_shown(post_id: UUID, likes: int) -> bool:
    """By each projection. Asked of the databases: this process leaves the dead broker alone."""
    return (
        outbox.waiting() == 0
        and all(
            model.objects.filter(stream_id=post_id, version=1 + likes).exists()
            and model.objects.count() == 1 + likes
            for model in (Post, History, Likes, SearchedPost)
        )
        and Person.objects.filter(username="alice", posts=1 + likes).exists()
    )


def test_a_topic_that_postlog_makes_is_safe(three: Mode) -> None:
    current_bus().ensure_topic()
    found = wait_until(lambda: partitions(three), "the broker that is asked knows the topic")
    assert {len(one["replica_nodes"]) for one in found} == {3}
    assert current_bus().hazards() == [], "min.insync.replicas is 2"


def test_the_setting_says_how_many_replicas_and_too_few_are_a_hazard(three: Mode) -> None:
    with postlog(kafka={"replication": 1}):
        current_bus().ensure_topic()
        [hazard] = wait_until(current_bus().hazards, "the brokers say so")
        current_bus().close()
    assert "has 1 replicas on 3 brokers" in hazard
    found = wait_until(lambda: partitions(three), "the broker that is asked knows the topic")
    assert {len(one["replica_nodes"]) for one in found} == {1}


# With three, one after the other, no disk of the beginning is left.
@pytest.mark.parametrize("deaths", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_a_broker_that_dies_with_its_disk_takes_nothing_with_it(
    three: Mode, cluster: KafkaCluster, deaths: int
) -> None:
    post_id = mediator.send(NewPost(message="before"), ALICE).ids["post_id"]
    with Worker(three.env, "runconsumer") as worker:
        wait_until(lambda: Post.objects.filter(stream_id=post_id).exists(), "it is shown", 120)
        current_bus().close()
        for node, broker in list(cluster.brokers.items())[:deaths]:
            broker.wipe()
            mediator.send(LikePost(post_id=post_id), Context(actor=f"fan-{node}"))
            mediator.send(NewPost(message=f"without broker {node}"), ALICE)
            wait_until(partial(all_shown, post_id, node), f"shown without broker {node}", 180)
            broker.start()
            wait_until(
                lambda: {len(one["isr_nodes"]) for one in partitions(three)} == {3},
                f"broker {node} has everything again",
                180,
            )
        assert worker.stop() == 0
    assert current_bus().hazards() == []
    assert assert_the_log_tells_the_store() >= 0
    done = manage(three.env, "verify")
    assert done.returncode == 0, done.stdout
