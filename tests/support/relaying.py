"""The relay's work, once, in this process."""

from messaging.bus import current_bus
from messaging.eventstore import outbox


def publish_all() -> None:
    bus = current_bus()
    bus.ensure_topic()
    publisher = bus.publisher()
    try:
        while pending := outbox.oldest(1_000):
            places = publisher.send([one.message for one in pending])()
            outbox.remove(pending, places)
    finally:
        publisher.close()
