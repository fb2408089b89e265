"""Records that retention deletes while somebody looks at the log are no contradiction."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, TopicPartition

from commands_app.commands import NewPost
from messaging import conf, mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, Place, partition_of
from messaging.bus.kafka import kafka_bus
from messaging.bus.kafka.bus import KafkaBus
from messaging.eventstore.models import Acknowledged
from messaging.exceptions import HistoryMismatch
from messaging.message import Context
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint
from messaging.proof import undisturbed
from messaging.relay import log_identity, outbox
from messaging.relay.relay import Relay
from messaging.testing.waiting import wait_until
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.records import publish
from tests.support.relaying import a_relay, at_work, publish_all

ALICE = Context(actor="alice")
POST = uuid4()
PARTITION = partition_of(str(POST), 12)


class Asked:
    """Deletes all records right after a question where they begin."""

    def __init__(self, bus: KafkaBus, delete_after: int) -> None:
        self.times = 0
        self._bus = bus
        self._ask = bus.begin_offsets
        self._delete_after = delete_after

    def __call__(self) -> dict[int, int]:
        found = self._ask()
        self.times += 1
        if self.times == self._delete_after:
            delete_all_records(self._bus)
        return found


def retention_at_work(delete_after: int) -> tuple[KafkaBus, Asked]:
    bus = kafka_bus(conf.postlog().kafka)
    bus.begin_offsets = asked = Asked(bus, delete_after)  # type: ignore[method-assign]
    return bus, asked


def delete_all_records(bus: KafkaBus) -> None:
    client = KafkaAdminClient(bootstrap_servers=conf.postlog().kafka.bootstrap_servers)
    ends = {TopicPartition(bus.topic, p): end for p, end in bus.end_offsets().items()}
    client.delete_records(ends)
    client.close()


@pytest.mark.parametrize("delete_after", [1, 2, 3])
def test_records_that_vanish_while_a_relay_starts_do_not_stop_it(
    postgresql: Mode, delete_after: int
) -> None:
    """After which question depends on how it looks; it begins at the new beginning."""
    for number in range(20):
        mediator.send(NewPost(message=f"{number}"), ALICE)
    publish_all()
    mediator.send(NewPost(message="waits"), ALICE)
    bus, _ = retention_at_work(delete_after)
    with at_work(Relay(bus)) as errors:
        wait_until(lambda: errors or outbox.waiting() == 0, "it publishes")
    bus.close()


def looks(relay: Relay) -> None:
    relay._check_log()


def looks_between(relay: Relay) -> None:
    end = relay._bus.end_offsets()[PARTITION]
    relay._report_foreign([Place(PARTITION, end)])


@pytest.mark.parametrize("look", [looks, looks_between])
@pytest.mark.parametrize("delete_after", [1, 2, 3, 4, 5])
def test_foreign_records_that_vanish_before_a_relay_looks_at_them_do_not_stop_it(
    postgresql: Mode, look: Callable[[Relay], None], delete_after: int
) -> None:
    mediator.send(NewPost(post_id=POST, message="first"), ALICE)
    publish_all()
    with a_relay() as relay:
        publish(*[Message(str(POST), b"rubbish")] * 3)
        relay._bus, _ = retention_at_work(delete_after)
        look(relay)
        relay._bus.close()


def test_records_that_vanish_while_a_restored_store_is_noted_do_not_fail_it(
    postgresql: Mode,
) -> None:
    mediator.send(NewPost(post_id=POST, message="first"), ALICE)
    publish_all()
    row = Acknowledged.objects.get()
    bus, asked = retention_at_work(3)  # which is right before the records are read
    log_identity.note_compared(bus, {row.partition: (row.offset + 1, row.event_id)})
    assert asked.times > 3
    assert Acknowledged.objects.get().offset == row.offset + 1
    bus.close()


@pytest.mark.parametrize("delete_after", [1, 2, 3])
def test_records_that_vanish_while_a_checkpoint_gets_its_proof_are_no_loss(
    postgresql: Mode, delete_after: int
) -> None:
    mediator.send(NewPost(post_id=POST, message="first"), ALICE)
    publish_all()
    consume_all()
    Checkpoint.objects.update(proof="")  # as an earlier release has left it
    bus, asked = retention_at_work(delete_after)
    checkpoints.require_same_log("posts", 1, bus, range(12))
    assert asked.times >= 2
    bus.close()


@pytest.mark.parametrize("delete_after", [1, 2, 3])
def test_records_that_vanish_while_a_consumer_compares_are_no_lost_tail(
    postgresql: Mode, delete_after: int
) -> None:
    for number in range(20):
        mediator.send(NewPost(message=f"{number}"), ALICE)
    publish_all()
    consume_all()
    bus, asked = retention_at_work(delete_after)
    checkpoints.require_same_log("posts", 1, bus, range(12))
    assert asked.times >= 2
    bus.close()


def test_a_log_that_is_shorter_at_its_end_is_refused_all_the_same(postgresql: Mode) -> None:
    current_bus().ensure_topic()
    with pytest.raises(HistoryMismatch):
        undisturbed(current_bus(), lambda bus: list(bus.read(0, 5, 7)))
