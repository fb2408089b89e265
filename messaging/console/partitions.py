"""The lag of a projection by partition: bars, with the offset and who has the partition."""

from collections.abc import Iterable
from typing import NamedTuple

from messaging.console.dashboard import Found
from messaging.console.problems import last_seen
from messaging.monitoring import levels
from messaging.monitoring.levels import AMBER, RED, WELL
from messaging.monitoring.status import ProjectionStatus
from messaging.templatetags.figures import thousands
from messaging.workers.models import Heartbeat

FULL, SMALL = 100, 10  # the length of the longest bar, and its height in the small picture
STEP = 4  # from bar to bar in the small picture
NOBODY = "nobody"


class Partition(NamedTuple):
    number: int
    lag: str
    bar: int  # its length, of FULL
    small: int  # its height, of SMALL
    x: int  # where it stands in the small picture
    top: int
    level: str
    offset: str
    end: str
    owner: str
    is_gone: bool  # the owner


def partitions(found: Found, one: ProjectionStatus) -> list[Partition]:
    """In the order of their numbers. Empty of an inline projection, and while the log is away."""
    assert found.read is not None
    ends = found.log.ends if found.log else {}
    longest = max(one.lag_by_partition.values(), default=0)
    made: list[Partition] = []
    for number, lag in one.lag_by_partition.items():
        checkpoint = found.read.checkpoint(one, number)
        moved = found.read.moved_at(one, number)
        unmoved = None if moved is None else (found.at - moved).total_seconds()
        owner, is_gone = owner_of(found, one.name, number)
        made.append(
            Partition(
                number=number,
                lag=thousands(lag),
                bar=_length(lag, longest, FULL),
                small=(small := _length(lag, longest, SMALL)),
                x=STEP * len(made),
                top=SMALL - small,
                level=levels.of_partition(
                    lag, unmoved, stands=number in one.halted or number in one.stalled
                ),
                offset=thousands(checkpoint.offset if checkpoint else 0),
                end=thousands(ends.get(number)),
                owner=owner,
                is_gone=is_gone,
            )
        )
    return made


def _length(lag: int, longest: int, full: int) -> int:
    """At least one, where anything lacks."""
    return max(1, round(full * lag / longest)) if lag else 0


def owner_of(found: Found, projection: str, partition: int) -> tuple[str, bool]:
    """Its name, and whether it is gone."""
    if found.write is None:
        return "unknown", False
    if mine := _having(found.write.consumers, projection, partition):
        return mine.process, False
    if mine := _having(found.write.gone, projection, partition):
        return last_seen(mine), True
    return NOBODY, False


def _having(workers: Iterable[Heartbeat], projection: str, partition: int) -> Heartbeat | None:
    return next((w for w in workers if partition in w.partitions.get(projection, ())), None)


def worst(each: list[Partition]) -> str:
    found = {one.level for one in each}
    return RED if RED in found else AMBER if AMBER in found else WELL
