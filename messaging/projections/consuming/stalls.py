"""Stalls: a partition holds records, and no consumer takes them.

A consumer moves its checkpoints, and every few seconds confirms those that are level with
the log. So `checked_at` tells an idle partition from a stalled one, to every process that
reads it, also when the consumer is dead.
"""

import time
from collections.abc import Container, Mapping
from math import inf

from django.db.models.functions import Now

from messaging.bus.base import Bus
from messaging.projections.models import Checkpoint

STALLED_AFTER_S = 15
OUTRUN_AFTER_S = 60  # while others move: a consumer with much to do takes partitions in turn
CONFIRM_EVERY_S = 5.0


def stalled(
    lag: Mapping[int, int], ages: Mapping[int, float], halted: Container[int] = ()
) -> dict[int, int | None]:
    """The partitions that are stalled, and for how many seconds: None where no consumer has
    ever begun.

    `lag` in records and `ages` of the checkpoints in seconds, by partition. Halted ones are left
    out: they have a reason of their own.
    """
    behind = {p: ages.get(p, inf) for p, records in lag.items() if records > 0 and p not in halted}
    moving = any(age <= STALLED_AFTER_S for age in behind.values())
    limit = OUTRUN_AFTER_S if moving else STALLED_AFTER_S
    return {p: None if age == inf else int(age) for p, age in behind.items() if age > limit}


class LevelCheck:
    """Confirms the checkpoints of one consumer that are level with the log."""

    def __init__(self, projection: str, bus: Bus) -> None:
        self._projection = projection
        self._bus = bus
        self._checked = time.monotonic()

    def confirm(self, generation: int, positions: Mapping[int, int]) -> bool:
        """Whether any was confirmed, which is a write. `positions`: the next offset that the
        consumer takes, of each of its partitions.

        The broker is asked where they end. That the client found nothing is no proof: it finds
        nothing in a partition that it forgot to read either.
        """
        if time.monotonic() - self._checked < CONFIRM_EVERY_S:
            return False
        ends = self._bus.end_offsets()
        level = [partition for partition, at in positions.items() if ends.get(partition) == at]
        rows = Checkpoint.objects.filter(
            projection=self._projection, generation=generation, partition__in=level
        )
        confirmed = rows.update(checked_at=Now())
        self._checked = time.monotonic()
        return confirmed > 0
