"""The relay in this process, step by step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event as Flag
from threading import Thread
from typing import Any

from django.db import connections

from messaging.bus import current_bus
from messaging.bus.base import Bus
from messaging.eventstore.models import LogIdentity
from messaging.relay.relay import Relay
from messaging.testing import delivery
from messaging.testing.waiting import wait_until


class HasCompared(Relay):
    """As one that leads since before whatever a test has done to the log."""

    def _compare(self, compare: Callable[[Bus], Any]) -> Any:
        return {}


def publish_all() -> None:
    """Until all that was stored is in the log, whatever the test has done to the log before."""
    delivery.publish_all(HasCompared(current_bus()))


def known_log(bus: Bus) -> LogIdentity:
    """The one that the store has published to, whichever the bus leads to."""
    bus.ensure_topic()
    identity = str(bus.identity())
    return LogIdentity.objects.get_or_create(id=1, defaults={"identity": identity})[0]


@contextmanager
def a_relay(kind: type[Relay] = Relay) -> Iterator[Relay]:
    """A relay that leads: it has compared the log with the store, and published a batch."""
    relay = kind(current_bus())
    try:
        wait_until(partial(_leads, relay), "no other relay leads")
        yield relay
    finally:
        relay.close()


def _leads(relay: Relay) -> bool:
    relay.run_once()
    return relay.is_active()


def published(relay: Relay) -> None:
    """All that waits, and its acknowledgements."""
    while relay.run_once():
        pass


@contextmanager
def at_work(relay: Relay) -> Iterator[list[BaseException]]:
    """In a thread. Gives the list of its errors, of which there have to be none at the end."""
    stop, errors = Flag(), list[BaseException]()

    def run() -> None:
        try:
            relay.run(stop)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        stop.set()
        thread.join()
    assert errors == []
