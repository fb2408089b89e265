"""`runconsumer --once`: waits until the read models show all that the log holds, and what other
code parked has been tried."""

import time
from threading import Event as Flag

from messaging.bus.base import Bus
from messaging.eventstore.models import Outbox
from messaging.exceptions import WorkerFailed
from messaging.monitoring.status import projection_status
from messaging.projections.consuming.automatic_retry import is_untried
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS, consumed
from messaging.transient import drop_connections, is_away

LOOK_EVERY_S = 0.2
PAUSE = 20  # times as long as a look took, which takes the consumers' processor
# A consumer that has just started tries a halted partition again.
HALTED_FOR_S = 30.0
# So long after the last one was tried: others of the group may have the partition, and older code.
UNTRIED_FOR_S = 10.0


class UntilLevel:
    """One part of a worker, beside those that publish and consume: when it ends, they stop.

    Reads checkpoints, which tell what other consumers of the group have applied, too.
    """

    def __init__(self, bus: Bus, *, after_the_outbox: bool) -> None:
        self._bus = bus
        self._after_the_outbox = after_the_outbox
        self._held: int | None = None  # the last position that the outbox held at the start
        self._ends: dict[int, int] | None = None  # of the log, once that is published
        self._halted_since: float | None = None
        self._untried: tuple[int, float] = (-1, 0.0)  # how many, and since when
        self.is_level = False

    def run(self, stop: Flag) -> None:
        """Return when everything is applied, or `stop` is set. Waits for what is away.

        Raises `WorkerFailed` when nothing but halted partitions is left.
        """
        while not stop.is_set():
            begun = time.thread_time()
            try:
                self.is_level = self.look()
            except Exception as error:  # the parts that work log it
                if not is_away(error):
                    raise
                drop_connections()
            if self.is_level:
                return
            stop.wait(max(LOOK_EVERY_S, PAUSE * (time.thread_time() - begun)))

    def look(self) -> bool:
        if self._ends is None and self._after_the_outbox and self._outbox_waits():
            return False
        if self._ends is None:
            self._bus.ensure_topic()
            self._ends = self._bus.end_offsets()
        identity = self._bus.identity()
        found = [projection_status(one.name, self._ends, identity) for one in consumed()]
        left = {(one.name, p) for one in found for p, lag in one.lag_by_partition.items() if lag}
        halted = {(one.name, p): why for one in found for p, why in one.halted.items()}
        if left and left <= halted.keys():
            self._require_hope({at: halted[at] for at in left})
        else:
            self._halted_since = None
        return not left and not self._awaits_retry({one.name: one.generation for one in found})

    def _awaits_retry(self, generations: dict[str, int]) -> bool:
        """Whether consumers have yet to try what other code parked, as each does when it starts."""
        count = sum(
            DeadLetter.objects.filter(
                is_untried(PROJECTIONS[name]), projection=name, generation=generation
            ).count()
            for name, generation in generations.items()
        )
        now = time.monotonic()
        if count != self._untried[0]:
            self._untried = (count, now)
        return count > 0 and now - self._untried[1] < UNTRIED_FOR_S

    def _outbox_waits(self) -> bool:
        if self._held is None:
            newest = Outbox.objects.order_by("-position").values_list("position", flat=True)
            self._held = newest.first() or 0
        return Outbox.objects.filter(position__lte=self._held).exists()

    def _require_hope(self, halted: dict[tuple[str, int], str]) -> None:
        now = time.monotonic()
        self._halted_since = self._halted_since or now
        if now - self._halted_since > HALTED_FOR_S:
            each = [f"{name}: partition {p} is halted: {why}" for (name, p), why in halted.items()]
            raise WorkerFailed("; ".join(each))
