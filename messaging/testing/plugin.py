"""The pytest plugin: loaded in every project that has Postlog installed, and idle until used."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from messaging.testing.in_memory import MemoryBus

SUITES = ("bus_contract", "bus_groups", "bus_members", "store_contract")
pytest.register_assert_rewrite(*[f"messaging.testing.{name}" for name in SUITES])


@pytest.fixture
def memory_bus() -> "Iterator[MemoryBus]":
    """A new bus in memory instead of the one of the settings, while the test runs.

    @pytest.mark.django_db(databases=["default", "read"])
    def test_an_order_is_shown(memory_bus):
        send(PlaceOrder(item="tea"), Context(actor="ann"))
        deliver_all()
    """
    from messaging.testing import in_memory  # when Django is set up

    with in_memory.memory_bus() as bus:
        yield bus
