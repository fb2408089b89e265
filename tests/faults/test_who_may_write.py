"""With the rights that docs/operations.md gives, the relay publishes, readers read, and nobody else
writes; who is refused says which right is missing, and goes on once it is granted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka.errors import KafkaError

from commands_app.commands import LikePost, NewPost
from dev.server import temporary_folder
from messaging import conf, mediator
from messaging.bus import current_bus
from messaging.bus.kafka import CLIENTS, kafka_bus
from messaging.exceptions import BusError
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.relay import outbox
from messaging.testing.bus_members import everything, numbered
from messaging.testing.waiting import wait_until
from tests.support.guarded import (
    TOPIC,
    GuardedKafka,
    client,
    documented,
    token_of_the_reader,
    write,
)
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import Worker, here
from tests.support.settings import postlog

RELAY, READER, STRANGER = "postlog-relay", "postlog-reader", "somebody"
ALICE = Context(actor="alice")

pytestmark = [
    # The client leaves its sockets open after a refusal.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[GuardedKafka]:
    found = GuardedKafka(temporary_folder("kafka-guarded"))
    try:
        found.start()
        found.add_users(STRANGER)
        yield found
    finally:
        found.wipe()


@pytest.fixture
def guarded(
    broker: GuardedKafka,
    django_db_blocker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Mode]:
    """This process is a reader."""
    monkeypatch.setenv("TEST_KAFKA", broker.bootstrap_servers)
    with (
        django_db_blocker.unblock(),
        fresh_mode("sqlite", "kafka", tmp_path) as mode,
        postlog(kafka={"security": client(READER)}),
    ):
        yield mode


def env_of(user: str, mode: Mode) -> dict[str, str]:
    return mode.env | {f"KAFKA_{name.upper()}": value for name, value in client(user).items()}


def shown() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0


def test_the_documented_rights_let_the_relay_write_readers_read_and_nobody_else(
    guarded: Mode, broker: GuardedKafka
) -> None:
    broker.grant(guarded.env["KAFKA_TOPIC"], documented("kafka-acls --add"))
    post_id = uuid4()
    mediator.send(NewPost(post_id=post_id, message="first"), ALICE)
    with (
        Worker(env_of(RELAY, guarded), "runrelay") as relay,
        Worker(env_of(READER, guarded), "runconsumer", "--no-relay") as consumer,
    ):
        wait_until(shown, "it is published and applied")
        mediator.send(LikePost(post_id=post_id), ALICE)
        wait_until(shown, "the next one too")
        assert relay.stop() == 0
        assert consumer.stop() == 0
    assert current_bus().hazards() == [], "readers see the topic's configuration"
    for command in (["verify"], ["restore-events", "--dry-run"], ["rebuild", "posts"], ["status"]):
        done = here(*command)
        assert done.returncode == 0, done.stdout + done.stderr

    ends = current_bus().end_offsets()
    for user in (READER, STRANGER):
        for idempotent in (True, False):
            with pytest.raises(KafkaError, match="AuthorizationFailed"):
                write(broker.bootstrap_servers, current_bus().topic, user, idempotent=idempotent)
    assert current_bus().end_offsets() == ends
    write(broker.bootstrap_servers, current_bus().topic, RELAY, idempotent=True)
    assert current_bus().end_offsets() != ends, "only for the right that they lack"


def test_a_relay_that_may_not_write_says_so_and_publishes_once_it_may(
    guarded: Mode, broker: GuardedKafka
) -> None:
    def grant(*rights: str) -> None:
        line = ["--add", "--allow-principal", f"User:{STRANGER}", "--topic", TOPIC]
        broker.grant(topic, [[*line, "--operation", right] for right in rights])

    topic = guarded.env["KAFKA_TOPIC"]
    mediator.send(NewPost(message="it waits"), ALICE)
    with Worker(env_of(STRANGER, guarded), "runrelay") as relay:
        wait_until(lambda: "Grant it Read, Describe and" in relay.output(), "it may see nothing")
        assert f"the broker refuses User:{STRANGER}" in relay.output()
        grant("Read", "DescribeConfigs", "Create")
        wait_until(lambda: "grant it Write on the topic" in relay.output(), "it may not write")
        assert outbox.waiting() == 1
        grant("Write")
        wait_until(lambda: outbox.waiting() == 0, "it goes on by itself")
        assert relay.stop() == 0


def test_a_relay_that_may_not_write_gives_way_to_one_that_may(
    guarded: Mode, broker: GuardedKafka
) -> None:
    broker.grant(guarded.env["KAFKA_TOPIC"], documented("kafka-acls --add"))
    with Worker(env_of(RELAY, guarded), "runrelay") as relay:
        wait_until(lambda: "relay: active" in relay.output(), "it makes the topic")
        assert relay.stop() == 0
    with Worker(env_of(READER, guarded), "runconsumer") as reader:
        wait_until(lambda: "relay: active" in reader.output(), "it leads")
        mediator.send(NewPost(message="it waits"), ALICE)
        wait_until(lambda: "grant it Write on the topic" in reader.output(), "it may not write")
        with Worker(env_of(RELAY, guarded), "runrelay") as relay:
            wait_until(shown, "the one that may publishes it")
            assert relay.stop() == 0
        assert reader.stop() == 0


def test_a_topic_that_may_not_be_seen_is_not_taken_for_one_that_was_deleted(
    guarded: Mode, broker: GuardedKafka
) -> None:
    def fault() -> str:
        with pytest.raises(BusError) as refused:
            bus.ensure_topic()
        return str(refused.value)

    bus = current_bus()
    with pytest.raises(BusError, match=f"refuses User:{READER}. Grant it Read, Describe and"):
        bus.identity()
    assert "Grant it Read, Describe and" in fault()
    reading = documented(f"kafka-acls --add --allow-principal User:{READER}")
    broker.grant(guarded.env["KAFKA_TOPIC"], reading)
    wait_until(
        lambda: "start a relay that may Create it" in fault(), "it may see that it is missing"
    )


@pytest.mark.parametrize("by", CLIENTS)
def test_a_token_of_oauth_lets_in_whom_it_names(
    guarded: Mode, broker: GuardedKafka, by: str
) -> None:
    broker.grant(guarded.env["KAFKA_TOPIC"], documented("kafka-acls --add"))
    mediator.send(NewPost(message="first"), ALICE)
    with Worker(env_of(RELAY, guarded), "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    security = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_provider": f"{token_of_the_reader.__module__}.token_of_the_reader",
    }
    with postlog(kafka={"client": by, "security": security}):
        bus = kafka_bus(conf.postlog().kafka)
        assert bus.identity() == current_bus().identity()
        assert len(everything(bus)) == 1
        with pytest.raises(BusError, match="grant it Write on the topic"):
            bus.publisher().publish(numbered(1))
        bus.close()
    with postlog(kafka={"client": by, "security": client(RELAY)}):
        bus = kafka_bus(conf.postlog().kafka)
        assert len(everything(bus)) == 1, "it has no right on any group"
        bus.close()
