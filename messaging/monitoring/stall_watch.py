"""Logs stalled partitions, from a thread that does not depend on the consumers' own."""

import logging
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError

from messaging.bus import current_bus
from messaging.exceptions import PostlogError
from messaging.monitoring.status import projection_status
from messaging.projections.consuming.stalls import STALLED_AFTER_S
from messaging.projections.registry import consumed
from messaging.transient import drop_connections

LOOK_EVERY_S = 5.0

log = logging.getLogger("postlog.stalls")

Places = set[tuple[str, int]]  # projection, partition


class StallWatch:
    """Reports each stall once, and its end."""

    def __init__(self) -> None:
        self._known: Places = set()

    def run(self, stop: Flag) -> None:
        """Returns when `stop` is set. A consumer that has just started gets time to catch up."""
        pause: float = STALLED_AFTER_S
        while not stop.wait(pause):
            pause = LOOK_EVERY_S
            self.try_to_look()

    def try_to_look(self) -> None:
        try:
            self.look()
        except (DatabaseError, InterfaceError, PostlogError) as error:
            log.debug("no look at the lag: %s", error)  # the consumers report it
            drop_connections()

    def look(self) -> None:
        bus = current_bus()
        ends, identity = bus.end_offsets(), bus.identity()
        found: Places = set()
        for name in [one.name for one in consumed()]:
            now = projection_status(name, ends, identity)
            for partition, seconds in now.stalled.items():
                found.add((name, partition))
                if (name, partition) not in self._known:
                    records = now.lag_by_partition[partition]
                    log.error("%s: %s", name, describe(partition, records, seconds))
        for name, partition in sorted(self._known - found):
            log.info("%s: partition %d is stalled no longer", name, partition)
        self._known = found


def describe(partition: int, records: int, seconds: int | None) -> str:
    """One stall in one line, with what to do. `seconds`: None if no consumer has ever begun."""
    if seconds is None:
        return (
            f"partition {partition} is stalled: {records:,} records wait, and no consumer has ever "
            "begun to take them. Start `manage.py runconsumer`."
        )
    return (
        f"partition {partition} is stalled: {records:,} records wait, and no consumer has taken "
        f"any for {seconds:,} s. See the log of `manage.py runconsumer`, and restart it."
    )
