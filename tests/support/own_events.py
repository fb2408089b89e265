"""Event types of a test's own, known only while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from messaging import message
from messaging.codec import payload


@contextmanager
def registered(wire_name: str, cls: type) -> Iterator[type]:
    """Register a dataclass as an event, and forget it at the end."""
    message.event(wire_name)(cls)
    try:
        yield cls
    finally:
        del message.EVENTS[wire_name], message._WIRE_NAMES[cls]
        payload._event_decoder.cache_clear()
