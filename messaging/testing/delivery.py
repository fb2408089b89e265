"""From the outbox to the rows in one call, by the relay and the consumers of production."""

from collections.abc import Mapping
from functools import partial

from messaging.bus import current_bus
from messaging.bus.base import Bus
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.consumer import Consumer
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Projection, consumed
from messaging.relay.relay import Relay
from messaging.testing.waiting import wait_until

DEADLINE_S = 60


def deliver_all(bus: Bus | None = None) -> None:
    """Publish all that waits in the outbox, and consume the log into all projections but those
    that are inline, which `send` brings level.

    Fails if a projection could not take an event: where a test is about that, call `publish_all`
    and `consume_all`. `bus`: by default the one of the settings.

        send(PlaceOrder(order_id=ORDER, item="tea"), Context(actor="ann"))
        deliver_all()
        assert ask(FindOrder(order_id=ORDER)).item == "tea"
    """
    __tracebackhide__ = True
    bus = bus or current_bus()
    publish_all(Relay(bus))
    faults = []
    for projection in consumed():
        halted = consume_all(projection, bus)
        faults += [f"{projection.name}, partition {p}: {why}" for p, why in halted.items()]
        faults += _parked(projection)
    if faults:
        raise AssertionError("Not all events were delivered.\n" + "\n".join(faults))


def publish_all(relay: Relay | None = None) -> None:
    """Publish what waits in the outbox, as a relay does, until nothing waits.

    publish_all()
    assert not Outbox.objects.exists()
    """
    relay = relay or Relay(current_bus())
    try:
        wait_until(partial(_is_active, relay), "no other relay is active", DEADLINE_S)
        while relay.run_once():
            pass
    finally:
        relay.close()


def consume_all(projection: Projection, bus: Bus | None = None) -> dict[int, str]:
    """Consume the log into one projection, up to where it ends now, as a consumer does.

    Returns the partitions that are halted, and why.

        assert consume_all(orders) == {}
    """
    if projection.inline:
        raise TypeError(f"{projection.name} is inline: commands apply its events, no consumer.")
    bus = bus or current_bus()
    bus.ensure_topic()
    ends = bus.end_offsets()
    consumer = Consumer(projection, bus)
    try:
        consumer.run_once()
        level = partial(_is_level, consumer, ends)
        wait_until(level, f"{projection.name} has consumed the log", DEADLINE_S)
        return dict(consumer.halted)
    finally:
        consumer.close()


def _is_active(relay: Relay) -> bool:
    relay.run_once()
    return relay.is_active()


def _is_level(consumer: Consumer, ends: Mapping[int, int]) -> bool:
    if consumer.is_level(ends):
        return True
    consumer.run_once()
    return consumer.is_level(ends)


def _parked(projection: Projection) -> list[str]:
    generation = checkpoints.live_generation(projection.name)
    parked = DeadLetter.objects.filter(projection=projection.name, generation=generation)
    return [
        f"{projection.name}: version {one.version} of stream {one.stream_id} is parked "
        f"({one.code}): {one.reason}"
        for one in parked.order_by("stream_id", "version")
    ]
