"""The relay's work, step by step, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from messaging.bus import current_bus
from messaging.bus.base import Bus
from messaging.eventstore.models import LogIdentity
from messaging.relay import log_identity, outbox
from messaging.relay.relay import Relay


def publish_all() -> None:
    """As a relay does, which compares nothing."""
    bus = current_bus()
    bus.ensure_topic()
    publisher, log = bus.publisher(), known_log(bus)
    try:
        while pending := outbox.oldest(1_000):
            places = publisher.send([one.message for one in pending])()
            assert outbox.remove(pending, places, log)
    finally:
        publisher.close()


def known_log(bus: Bus) -> LogIdentity:
    """The one that the store has published to, whichever the bus leads to."""
    bus.ensure_topic()
    identity = str(bus.identity())
    return LogIdentity.objects.get_or_create(id=1, defaults={"identity": identity})[0]


@contextmanager
def a_relay() -> Iterator[Relay]:
    """It has compared the log with the store, and then publishes where it is asked to."""
    bus = current_bus()
    bus.ensure_topic()
    relay = Relay(bus)
    relay._log = known_log(bus)
    relay._compared = log_identity.require_same_history(bus)
    relay._publisher = bus.publisher()
    try:
        yield relay
    finally:
        relay._publisher.close()


def published(relay: Relay) -> None:
    """All that waits, and its acknowledgements."""
    while relay.publish_next(lambda: True):
        pass
