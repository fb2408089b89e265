"""What signatures of records cost: relay and consumer with them, and without, in turn.

Counted in CPU time of the process, because on a shared machine the clock shows who else works.
"""

import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks import consume, relay
from benchmarks.fill import many_events
from benchmarks.measure import Result, medians
from tests.support.settings import postlog

ROUNDS = 9
STREAMS = 2_400
KEYS = [("bench", "0123456789abcdef" * 4), ("before", "fedcba9876543210" * 4)]


def results() -> Iterator[Result]:
    from messaging.bus import current_bus

    many_events(relay.STREAMS, relay.EVENTS_EACH)
    current_bus().ensure_topic()
    yield measured("relay", lambda: relay.relayed(time.process_time))
    yield measured("consumer", lambda: consume.consumed(STREAMS, time.process_time))


def measured(name: str, work: Callable[[], float]) -> Result:
    ratios: list[float] = []

    def signed() -> float:
        with postlog(RECORD_KEYS=KEYS):
            ratios.append(work())
        return ratios[-1]

    def unsigned() -> float:
        with postlog(SIGN_RECORDS=False):
            found = work()
        ratios[-1] /= found
        return found

    with postlog(SIGN_RECORDS=False):
        work()  # once, for caches and plans
    ours, bare = medians(ROUNDS, signed, unsigned)
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    return Result(
        name=name,
        workload=f"{ROUNDS} rounds in turn; by pairs {middle:.3f} ({low:.2f} to {high:.2f})",
        ours=ours,
        limit=bare,
        against="not signed",
        unit="events/s of CPU",
        target=0.95,
    )
