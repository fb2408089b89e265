"""Events in tests: what is one, could be stored and is of the right stream type; and types of a
test's own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from messaging import message
from messaging.codec import payload
from messaging.message import EVENTS

MAX_SHOWN = 20  # events of a list in a message


@contextmanager
def registered(wire_name: str, cls: type, *, stream: str) -> Iterator[type]:
    """Register a dataclass as an event for a test, and forget it at the end.

    with registered("orders.order_placed.v9", OrderPlacedByNewerCode, stream="order"): ...
    """
    message.event(wire_name, stream=stream)(cls)
    try:
        yield cls
    finally:
        del EVENTS[wire_name], message._WIRE_NAMES[cls], message._NAMING[cls]
        payload._event_decoder.cache_clear()
        event_types.cache_clear()


def require_events(given: Iterable[object], where: str) -> None:
    """Raise `TypeError` for what is no event, and `WrongPayload` for one that no store takes."""
    for one in given:
        if type(one) not in EVENTS.values():
            what = f"the class {one.__name__}" if isinstance(one, type) else f"{one!r:.200}"
            raise TypeError(f"{where} takes events (classes registered with @event), not {what}.")
        payload.encode_event(one)


@cache
def event_types(evolve: Callable[..., Any]) -> frozenset[type]:
    return message.event_types_of(evolve)


def repository_of(event: object) -> Any:
    """The repository whose `evolve` takes this event; None if the project has none."""
    from messaging.eventstore.repository import REPOSITORIES  # needs Django

    known = REPOSITORIES.values()
    return next((one for one in known if type(event) in event_types(one.evolve)), None)


def listed(events: Sequence[object]) -> str:
    """The events, one a line, for a message."""
    if not events:
        return "    nothing"
    left_out = len(events) - MAX_SHOWN
    first = [f"    ({left_out:,} before)"] if left_out > 0 else []
    return "\n".join(first + [f"    {one!r}" for one in events[-MAX_SHOWN:]])
