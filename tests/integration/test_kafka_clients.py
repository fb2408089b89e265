"""Kafka's two clients are one bus: what one of them does, the other one sees."""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from messaging import conf
from messaging.bus.base import Bus, Message, Polled
from messaging.bus.kafka import CLIENTS, kafka_bus
from messaging.exceptions import BusError
from messaging.testing.bus_members import (
    PARTITIONS,
    Group,
    everything,
    in_partition,
    numbered,
    publish,
)
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode, fresh_mode
from tests.support.settings import postlog
from tests.support.transactions import transaction


@pytest.fixture
def mode(django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    with django_db_blocker.unblock(), fresh_mode("sqlite", "kafka", tmp_path) as found:
        yield found


@pytest.fixture
def buses(mode: Mode) -> Iterator[list[Bus]]:
    """Of one topic, by either client."""
    found: list[Bus] = []
    for client in CLIENTS:
        with postlog(kafka={"client": client}):
            found.append(kafka_bus(conf.postlog().kafka))
    found[0].ensure_topic()
    yield found
    for bus in found:
        bus.close()


def test_which_client_asks_makes_no_other_log_of_it(buses: list[Bus]) -> None:
    publish(buses[1], in_partition(3, 2))
    one, other = buses
    assert one.identity() == other.identity()
    assert one.begin_offsets() == other.begin_offsets()
    assert one.end_offsets() == other.end_offsets() == dict.fromkeys(range(PARTITIONS), 0) | {3: 2}
    assert one.hazards() == other.hazards() == []


def test_both_write_and_read_the_same_records(buses: list[Bus]) -> None:
    for bus in buses:
        publish(
            bus, [m._replace(signature=b"s") if n % 2 else m for n, m in enumerate(numbered(20))]
        )
    one, other = (sorted(everything(bus)) for bus in buses)
    assert one == other
    assert len(one) == 40
    assert [r.signature for r in one].count(b"s") == 20


def test_members_of_both_clients_share_a_group(buses: list[Bus]) -> None:
    """As while processes are restarted one by one with the other client."""
    group = Group(buses[0])
    group.join(1)
    try:
        for bus in (buses[1], buses[0], buses[1]):
            group.bus = bus
            group.join(1)
        publish(buses[0], numbered(600, keys=100))
        wait_until(lambda: len(group.records()) >= 600, "everything arrived")
        group.leave(group.members[:1])
        group.settle()
    finally:
        group.leave(list(group.members))


def test_both_pass_over_the_same_offsets_without_records(mode: Mode, buses: list[Bus]) -> None:
    """Those of a transaction's markers, but not those of records that it took back."""
    (first,), two = in_partition(4, 1), in_partition(4, 2)
    publish(buses[0], [first])
    transaction(mode, two)
    transaction(mode, two, commit=False)
    expected = [(0, 0), (1, 0), (2, 0), (4, 1), (5, 0)]
    for number, bus in enumerate(buses):
        assert bus.end_offsets()[4] == 7
        assert [(r.offset, r.gap) for r in everything(bus)] == expected
        subscription = bus.subscribe(f"group {number}")
        polls: list[Polled] = []
        while not polls or 4 not in polls[-1].passed:
            polls.append(subscription.poll(timeout_s=5, max_records=100))
            if polls[-1].changed:
                for partition in polls[-1].assignment:
                    subscription.seek(partition, 0)
        subscription.close()
        found = [r for one in polls for part in one.records.values() for r in part]
        assert [(r.offset, r.gap) for r in found] == expected
        assert polls[-1].passed == {4: 7}


def test_behind_a_message_that_the_broker_refuses_confluent_sends_no_other(
    mode: Mode, buses: list[Bus]
) -> None:
    """Else a later event of the stream would stand before it."""
    limit = {"max.message.bytes": "100000"}
    with closing(KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])) as admin:
        admin.alter_configs([ConfigResource("topic", mode.env["KAFKA_TOPIC"], limit)])
    bus = buses[1]
    wait_until(bus.hazards, "the broker refuses large records")
    key = in_partition(5, 1)[0].key
    publisher = bus.publisher()
    publisher.publish([Message(key, b"first")])  # until then a broker takes any number as the first
    with suppress(BusError):  # it may be refused before the other one is handed over
        publisher.send([Message(key, os.urandom(600_000)), Message(key, b"later")])

    def refused() -> bool:
        try:
            publisher.send([Message(key, b"later still")])
        except BusError:
            return True
        return bus.end_offsets()[5] > 1

    wait_until(refused, "it is refused")
    assert bus.end_offsets()[5] == 1
