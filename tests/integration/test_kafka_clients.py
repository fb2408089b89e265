"""Kafka's two clients are one bus: what one of them does, the other one sees."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messaging import conf
from messaging.bus.base import Bus
from messaging.bus.kafka import CLIENTS, kafka_bus
from messaging.testing.bus_members import (
    PARTITIONS,
    Group,
    everything,
    in_partition,
    numbered,
    publish,
)
from messaging.testing.waiting import wait_until
from tests.support.modes import fresh_mode
from tests.support.settings import postlog


@pytest.fixture
def buses(django_db_blocker: Any, tmp_path: Path) -> Iterator[list[Bus]]:
    """Of one topic, by either client."""
    with django_db_blocker.unblock(), fresh_mode("sqlite", "kafka", tmp_path):
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
