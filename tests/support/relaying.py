"""The relay's work, step by step, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from messaging.bus import current_bus
from messaging.eventstore import history, outbox
from messaging.eventstore.relay import Relay


def publish_all() -> None:
    """As a relay does, which compares nothing."""
    bus = current_bus()
    bus.ensure_topic()
    publisher = bus.publisher()
    try:
        while pending := outbox.oldest(1_000):
            places = publisher.send([one.message for one in pending])()
            outbox.remove(pending, places)
    finally:
        publisher.close()


@contextmanager
def a_relay() -> Iterator[Relay]:
    """It has compared the log with the store, and then publishes where it is asked to."""
    bus = current_bus()
    bus.ensure_topic()
    relay = Relay(bus)
    relay._compared = history.require_same_history(bus)
    relay._publisher = bus.publisher()
    try:
        yield relay
    finally:
        relay._publisher.close()


def published(relay: Relay) -> None:
    """All that waits, and its acknowledgements."""
    while relay.publish_next(lambda: True):
        pass
