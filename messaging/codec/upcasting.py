"""Old versions of an event are lifted, on decoding, by upcasters:

@upcaster("orders.order_placed.v1", "orders.order_placed.v2")
def with_quantity(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "quantity": 1}
"""

from collections.abc import Callable
from typing import Any

from messaging.exceptions import RegistrationError
from messaging.message import EVENTS

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

_upcasters: dict[str, tuple[str, Upcaster]] = {}  # wire name -> (next wire name, function)


def upcaster(old: str, new: str) -> Callable[[Upcaster], Upcaster]:
    """Register a function from the payload of `old` to the payload of `new` (wire names)."""

    def register(lift: Upcaster) -> Upcaster:
        if old in _upcasters or old in EVENTS:
            raise RegistrationError(f"{old} has an upcaster or an event class already.")
        _upcasters[old] = (new, lift)
        return lift

    return register


def has_upcaster(wire_name: str) -> bool:
    return wire_name in _upcasters


def lift(wire_name: str, data: Any) -> tuple[str, Any]:
    """The wire name and the payload of the version that no upcaster lifts further."""
    while wire_name in _upcasters:
        wire_name, function = _upcasters[wire_name]
        data = function(data)
    return wire_name, data


def upcast_types() -> list[str]:
    """The wire names that have an upcaster."""
    return sorted(_upcasters)
