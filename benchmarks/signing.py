"""What signatures of records cost: relay and consumer with them, and without, in turn.

Counted in CPU time of the process, because on a shared machine the clock shows who else works; of
the relay by the clock too, since it waits for database and broker.
"""

import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks import consume, relay
from benchmarks.fill import many_events
from benchmarks.measure import Result
from tests.support.settings import postlog

ROUNDS = 9
STREAMS = 2_400
KEYS = [("bench", "0123456789abcdef" * 4), ("before", "fedcba9876543210" * 4)]


def results() -> Iterator[Result]:
    from messaging.bus import current_bus

    many_events(relay.STREAMS, relay.EVENTS_EACH)
    current_bus().ensure_topic()
    yield measured("relay", lambda _: relay.relayed(time.process_time))
    yield measured("relay, by the clock", lambda _: relay.relayed(), unit="events/s")
    # Behind the relay, which would publish each time what this stores. Before what goes straight
    # into the log, which no relay passes.
    yield measured("all projections, runconsumer", all_projections, rounds=8)
    yield measured("one projection", lambda _: consume.consumed(STREAMS, time.process_time))


def all_projections(environment: dict[str, str]) -> float:
    return consume.ALL_EVENTS / consume.run_consumer(environment)


def measured(
    name: str,
    work: Callable[[dict[str, str]], float],
    *,
    rounds: int = ROUNDS,
    unit: str = "events/s of CPU",
) -> Result:
    """`work` is given the environment for its processes. Both take turns at going first: what
    a round writes makes the next one slower."""
    keys = {"RECORD_KEYS": ",".join(map(":".join, KEYS))}

    def signed() -> float:
        with postlog(RECORD_KEYS=KEYS):
            return work(keys)

    def unsigned() -> float:
        with postlog(SIGN_RECORDS=False):
            return work({"RECORD_SIGNATURES": "off"})

    unsigned()  # once, for caches and plans
    found: dict[Callable[[], float], list[float]] = {signed: [], unsigned: []}
    for number in range(rounds):
        for way in (signed, unsigned) if number % 2 else (unsigned, signed):
            found[way].append(way())
    ours, bare = map(statistics.median, found.values())
    ratios = [one / other for one, other in zip(*found.values(), strict=True)]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    return Result(
        name=name,
        workload=f"{rounds} rounds in turn; by pairs {middle:.3f} ({low:.2f} to {high:.2f})",
        ours=ours,
        limit=bare,
        against="not signed",
        unit=unit,
        target=0.95,
    )
