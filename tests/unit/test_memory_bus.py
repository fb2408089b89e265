"""The bus in memory keeps the contract of every bus, and takes the place of the one of the
settings."""

import pytest

from messaging.bus import current_bus
from messaging.bus.base import Bus
from messaging.exceptions import BusError
from messaging.testing import MemoryBus, memory_bus
from messaging.testing.bus_contract import BusContract
from messaging.testing.bus_members import PARTITIONS, numbered, publish
from messaging.workers.leadership import MemoryLeadership
from tests.support.settings import postlog
from tests.support.threads import together


class TestMemoryBus(BusContract):
    @pytest.fixture
    def bus(self) -> Bus:
        made = MemoryBus(partitions=PARTITIONS)
        made.ensure_topic()
        return made

    def lose_records_before(self, bus: MemoryBus, partition: int, offset: int) -> None:  # type: ignore[override]
        bus.delete_records(partition, offset)

    def delete_topic(self, bus: MemoryBus) -> None:  # type: ignore[override]
        bus.delete_topic()


def test_it_takes_the_place_of_the_bus_of_the_settings_in_all_threads(
    memory_bus: MemoryBus,
) -> None:
    assert current_bus() is memory_bus
    assert together(current_bus) == [memory_bus]
    with postlog(kafka={"bootstrap_servers": "127.0.0.1:1"}):
        assert current_bus() is memory_bus
    assert sum(memory_bus.end_offsets().values()) == 0, "its topic is there, and empty"


def test_afterwards_the_bus_of_the_settings_is_there_again() -> None:
    before = current_bus()
    with memory_bus() as first, memory_bus() as second:
        assert current_bus() is second is not first
    assert current_bus() is before
    assert not isinstance(before, MemoryBus)


def test_it_has_as_many_partitions_as_the_settings_say() -> None:
    with postlog(kafka={"partitions": 3}), memory_bus() as bus:
        assert bus.identity().partitions == 3


def test_without_a_topic_nothing_is_published() -> None:
    with pytest.raises(BusError, match="no topic 'memory'"):
        publish(MemoryBus(), numbered(1))


def test_a_lock_of_a_database_in_memory_is_held_by_one_at_a_time() -> None:
    """Without a file, which SQLite's name for it would make in the working directory."""
    first, second, other = (MemoryLeadership(name) for name in ("relay", "relay", "rebuild"))
    asked = [first, first, second, other]
    assert [one.acquire() for one in asked] == [True, True, False, True]
    second.release()
    assert not second.acquire(), "who does not hold it releases nothing"
    first.release()
    assert [second.acquire(), first.acquire()] == [True, False]
    second.release()
    other.release()
