"""Stalls: a partition holds records, and no consumer takes them.

A consumer moves its checkpoints, and every few seconds confirms those that are level with
the log. So every process can tell an idle partition from a stalled one by `checked_at`, even
when the consumer is dead.
"""

from collections.abc import Container, Mapping
from math import inf

from django.db.models.functions import Now

from messaging.bus.base import Bus
from messaging.projections.models import Checkpoint

STALLED_AFTER_S = 15
OUTRUN_AFTER_S = 60  # while others move: a busy consumer takes partitions in turn


def stalled(
    lag: Mapping[int, int], ages: Mapping[int, float], halted: Container[int] = ()
) -> dict[int, int | None]:
    """The stalled partitions, and for how many seconds: None where no consumer has ever begun.

    `lag` in records and `ages` of the checkpoints in seconds, by partition. Halted ones are left
    out: they have a reason of their own.
    """
    behind = {p: ages.get(p, inf) for p, records in lag.items() if records > 0 and p not in halted}
    moving = any(age <= STALLED_AFTER_S for age in behind.values())
    limit = OUTRUN_AFTER_S if moving else STALLED_AFTER_S
    return {p: None if age == inf else int(age) for p, age in behind.items() if age > limit}


def confirm_level(projection: str, generation: int, bus: Bus, positions: Mapping[int, int]) -> bool:
    """Confirm the checkpoints that are level with the log; return whether any is, which is a write.
    `positions`: the next offset that the consumer takes, of each of its partitions.

    The broker is asked where they end. That the client found nothing is no proof: it finds
    nothing in a partition that it forgot to read either.
    """
    ends = bus.end_offsets()
    level = [partition for partition, at in positions.items() if ends.get(partition) == at]
    rows = Checkpoint.objects.filter(
        projection=projection, generation=generation, partition__in=level
    )
    return rows.update(checked_at=Now()) > 0
