"""Old versions of an event are lifted, on decoding, by upcasters:

@upcaster("orders.order_placed.v1", "orders.order_placed.v2")
def with_quantity(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "quantity": 1}
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from messaging.exceptions import RegistrationError
from messaging.message import EVENTS

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

_upcasters: dict[str, tuple[str, Upcaster]] = {}  # wire name -> (next wire name, function)


def upcaster(old: str, new: str) -> Callable[[Upcaster], Upcaster]:
    """Register a function from the payload of `old` to the payload of `new` (wire names).

    Raises `RegistrationError` if `old` has an upcaster or a class already, or is what `new` leads
    to.
    """

    def register(lift: Upcaster) -> Upcaster:
        if old in _upcasters or old in EVENTS:
            raise RegistrationError(f"{old} has an upcaster or an event class already.")
        if newest_of(new) == old:
            raise RegistrationError(f"{old} -> {new}: these upcasters lead in a circle.")
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


def newest_of(wire_name: str) -> str:
    """The wire name of the version to which an event is lifted; its own, if no upcaster does."""
    while wire_name in _upcasters:
        wire_name, _ = _upcasters[wire_name]
    return wire_name


def upcast_types() -> list[str]:
    """The wire names that have an upcaster."""
    return sorted(_upcasters)


def gaps() -> Iterator[tuple[str, str, bool]]:
    """Yield each version that is not lifted to the newest: wire name, why, and whether it can be
    read all the same."""
    for old in upcast_types():
        if (newest := newest_of(old)) not in EVENTS:
            yield old, f"its upcasters end at {newest}, which has no class", False
        elif old in EVENTS:
            yield old, "it has both a class and an upcaster", False
    versions: dict[str, set[int]] = defaultdict(set)
    for name in {*EVENTS, *_upcasters, *(new for new, _ in _upcasters.values())}:
        base, _, number = name.rpartition(".v")
        if number.isdecimal():
            versions[base].add(int(number))
    for base, known in sorted(versions.items()):
        for version in range(min(known), max(known)):
            if (name := f"{base}.v{version}") not in _upcasters:
                why = f"there is a v{max(known)}, and no upcaster leads up from it"
                yield name, why, name in EVENTS
