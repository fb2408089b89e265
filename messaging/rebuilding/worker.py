"""Takes requests for rebuilds: one builder for each projection, by lock, in whichever process."""

import logging
from threading import Event as Flag

from django.db import connections

from messaging.bus.base import Bus
from messaging.conf import read_alias, write_alias
from messaging.projections import writers
from messaging.projections.models import Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding.builder import Builder
from messaging.rebuilding.inline_builder import InlineBuilder
from messaging.transient import is_away, reason
from messaging.workers.leadership import Leadership, Wait, leadership
from messaging.workers.repeats import Repeats

log = logging.getLogger("postlog.rebuild")

POLL_EVERY_S = 1.0
BACKOFF_S = 2.0


def builders_lock(projection: str) -> Leadership:
    return leadership(f"rebuild-{projection}", read_alias())


class RebuildWorker:
    """One thread's work, in the consumer's process: builds whatever is asked for."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waits: dict[int, Wait] = {}  # by rebuild
        self._repeats = Repeats(log)

    def run(self, stop: Flag) -> None:
        """Build until `stop` is set."""
        while not stop.wait(POLL_EVERY_S):
            self.run_once(stop)

    def build(self, rebuild: Rebuild, stop: Flag) -> None:
        """Return when this one has ended, here or in another process, or `stop` is set."""
        while not stop.is_set():
            self.run_once(stop, only=rebuild.id)
            if Rebuild.objects.get(id=rebuild.id).state in Rebuild.ENDED:
                return
            stop.wait(POLL_EVERY_S)

    def run_once(self, stop: Flag, only: int | None = None) -> None:
        """Build what no other process builds. Waits and returns if a server is away."""
        try:
            wanted = Rebuild.objects.exclude(state__in=Rebuild.ENDED)
            for rebuild in wanted if only is None else wanted.filter(id=only):
                self._build(rebuild, stop)
        except Exception as error:
            if not is_away(error):
                raise
            again = f"Trying again in {BACKOFF_S:.0f} s."
            self._repeats.say(logging.WARNING, f"rebuild: {reason(error)}", again)
            connections[read_alias()].close()
            connections[write_alias()].close()
            stop.wait(BACKOFF_S)

    def _build(self, rebuild: Rebuild, stop: Flag) -> None:
        lock = builders_lock(rebuild.projection)
        wait = self._waits.setdefault(
            rebuild.id, Wait(log, f"rebuild of {rebuild.projection}: waiting")
        )
        try:
            if not lock.acquire():
                wait.goes_on(lock)
            else:
                wait.ends()
                _builder_of(rebuild)(rebuild, self._bus, lock.acquire).run(stop)
        finally:
            lock.release()


def _builder_of(rebuild: Rebuild) -> type[Builder]:
    if PROJECTIONS[rebuild.projection].inline:
        return InlineBuilder
    writers.take_over(rebuild.projection)  # if it was inline before
    return Builder
