"""What every bus keeps to, on Kafka and on the embedded log of both databases: the suite of the
testing kit, and what needs processes to be killed or frozen."""

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from messaging.bus import current_bus, embedded
from messaging.bus.base import Bus
from messaging.bus.models import EmbeddedRecord, Log, LogPartition
from messaging.exceptions import BusError, HistoryMismatch
from messaging.testing.bus_contract import BusContract
from messaging.testing.bus_members import (
    GROUP,
    PARTITIONS,
    Group,
    Member,
    grouped,
    numbered,
    publish,
)
from messaging.testing.waiting import wait_until
from tests.support.freezing import freeze_between_writes
from tests.support.losing import lose_records_before
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import Worker
from tests.support.settings import postlog

LOGS = ["sqlite-embedded", "postgresql-embedded", "sqlite-kafka-python", "sqlite-confluent"]


@pytest.fixture(params=LOGS)
def mode(request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    vendor, _, client = request.param.partition("-")
    bus = ("embedded",) if client == "embedded" else ("kafka", client)
    with django_db_blocker.unblock(), fresh_mode(vendor, bus[0], tmp_path, *bus[1:]) as found:
        current_bus().ensure_topic()
        yield found


@pytest.fixture
def bus(mode: Mode) -> Bus:
    return current_bus()


@pytest.fixture
def group(bus: Bus) -> Iterator[Group]:
    with grouped(bus) as found:
        yield found


class TestBus(BusContract):
    @pytest.fixture
    def bus(self, mode: Mode) -> Bus:
        self.mode = mode
        return current_bus()

    def test_who_closes_is_replaced_within_seconds(
        self, bus: Bus, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Long before it would count as dead."""
        monkeypatch.setattr(embedded, "DEAD_AFTER_S", 60.0)
        super().test_who_closes_is_replaced_within_seconds(bus, group)

    def lose_records_before(self, bus: Bus, partition: int, offset: int) -> None:
        lose_records_before(self.mode, partition, offset)

    def delete_topic(self, bus: Bus) -> None:
        delete_topic(self.mode)

    def another(self, bus: Bus) -> Bus:
        return type(bus)(*arguments(self.mode))


def delete_topic(mode: Mode) -> None:
    if mode.bus == "kafka":
        from kafka import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])
        topic = mode.env["KAFKA_TOPIC"]
        admin.delete_topics([topic])
        gone = lambda: admin.describe_topics([topic])[0]["error_code"] != 0  # noqa: E731
        wait_until(gone, "the broker knows that it is gone")
        admin.close()
    else:
        for model in (Log, LogPartition, EmbeddedRecord):
            model.objects.all().delete()


def arguments(mode: Mode) -> tuple[Any, ...]:
    if mode.bus == "kafka":
        from messaging import conf

        return (conf.postlog().kafka,)
    return (mode.env["KAFKA_TOPIC"], PARTITIONS)


def test_a_publisher_of_kafka_that_was_closed_publishes_no_more(bus: Bus, mode: Mode) -> None:
    publisher = bus.publisher()
    publisher.close()
    if mode.bus == "kafka":
        with pytest.raises(BusError):
            publisher.publish(numbered(1))
        assert sum(bus.end_offsets().values()) == 0


def test_another_partition_count_is_refused(bus: Bus) -> None:
    with postlog(kafka={"partitions": PARTITIONS + 1}):
        current_bus().ensure_topic()
        with pytest.raises(HistoryMismatch, match=r'12 partitions, .*"partitions"] says 13'):
            current_bus().identity()
        current_bus().close()


# --- members that are killed or frozen --------------------------------------------------------

SECOND = f"import django; django.setup(); from {__name__} import follow; follow()"


def test_who_is_killed_is_replaced(bus: Bus, mode: Mode, group: Group) -> None:
    (first,) = group.members
    with Worker(mode.env, program=[sys.executable, "-c", SECOND]) as second:
        wait_until(lambda: first.owns(PARTITIONS // 2), "the other has its half")
        second.kill()
        publish(bus, numbered(100))
        wait_until(lambda: first.owns(PARTITIONS), "the first has all", 20)
        wait_until(lambda: sum(group.positions.values()) == 100, "and reads all")


def test_who_was_frozen_hears_of_a_change_and_has_its_share_again(
    bus: Bus, mode: Mode, group: Group
) -> None:
    (first,) = group.members
    with Worker(mode.env, program=[sys.executable, "-c", SECOND]) as second:
        wait_until(lambda: first.owns(6) and "assigned 6" in second.output(), "shared")
        freeze_between_writes(second)
        wait_until(lambda: first.owns(PARTITIONS), "the first has all", 20)
        before = second.output().count("assigned 6")
        second.thaw()
        wait_until(
            lambda: first.owns(6) and second.output().count("assigned 6") > before, "shared again"
        )
        publish(bus, numbered(100))
        wait_until(lambda: len(group.records()) > 0, "it goes on")


# --- another process ----------------------------------------------------------------------------


def follow() -> None:
    """A second member of the group, to be killed or frozen."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    one = Member(current_bus().subscribe(GROUP))
    told = 0
    while True:
        with suppress(BusError):  # of what was under way when it was frozen
            one.step()
        if one.changes != told:
            told = one.changes
            print("assigned", len(one.assignment), flush=True)  # noqa: T201
