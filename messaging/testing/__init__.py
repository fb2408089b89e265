"""Test decisions, projections and the whole path without a server. docs/testing.md

Nothing that runs in production imports this package. Only the plugin (plugin.py) and the contract
suites (bus_contract.py, store_contract.py) need pytest. Names are imported on use, so that a
decision can be tested where Django is not set up.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from messaging.testing.decisions import given as given
    from messaging.testing.delivery import consume_all as consume_all
    from messaging.testing.delivery import deliver_all as deliver_all
    from messaging.testing.delivery import publish_all as publish_all
    from messaging.testing.events import registered as registered
    from messaging.testing.golden import check_golden as check_golden
    from messaging.testing.in_memory import MemoryBus as MemoryBus
    from messaging.testing.in_memory import memory_bus as memory_bus
    from messaging.testing.projecting import project as project
    from messaging.testing.projecting import recorded as recorded
    from messaging.testing.waiting import wait_until as wait_until

_MODULES = {
    "given": "decisions",
    "consume_all": "delivery",
    "deliver_all": "delivery",
    "publish_all": "delivery",
    "check_golden": "golden",
    "MemoryBus": "in_memory",
    "memory_bus": "in_memory",
    "project": "projecting",
    "recorded": "projecting",
    "registered": "events",
    "wait_until": "waiting",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"messaging.testing has no {name!r}")
    return getattr(import_module(f"messaging.testing.{_MODULES[name]}"), name)
