"""What samples, metrics and signals cost relay and consumer.

Rounds in turn, with and without, differ by several per cent on a shared machine, so by these alone
one per cent would not be seen. So what it costs is also counted where it is spent: the CPU of the
thread within the signals and their receivers, and of the process for one sample each 10 s.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.dispatch import Signal

from benchmarks import consume, relay
from benchmarks.fill import many_events
from benchmarks.measure import Result, medians

ROUNDS = 5
STREAMS = 2_400
TIMES = 50
SCRAPED_EVERY_MS = 15_000
SAMPLE_EVERY_MS = 10_000
MOST = 0.01  # of what the work itself takes


def results() -> Iterator[Result]:
    from messaging.bus import current_bus

    many_events(relay.STREAMS, relay.EVENTS_EACH)
    current_bus().ensure_topic()
    count = relay.STREAMS * relay.EVENTS_EACH
    yield signalling("relay", count, lambda: relay.relayed(time.process_time))
    count = consume.EVENTS + STREAMS
    yield signalling("consumer", count, lambda: consume.consumed(STREAMS, time.process_time))
    yield from each_10_s()


def signalling(name: str, count: int, work: Callable[[], float]) -> Result:
    """The share of the CPU that goes into signals and what measures by them. `work` handles so many
    events, and returns how many a second of CPU."""
    shares: list[float] = []
    pairs: list[float] = []

    def with_them() -> float:
        with measuring(), counted() as spent:
            found = work()
        shares.append(sum(spent) / (count / found))
        pairs.append(found)
        return found

    def without() -> float:
        with silent():
            found = work()
        pairs[-1] /= found
        return found

    with silent():
        work()  # once, for caches and plans
    medians(ROUNDS, with_them, without)
    by_pairs = f"{statistics.median(pairs):.3f} ({min(pairs):.2f} to {max(pairs):.2f})"
    return Result(
        name=name,
        workload=f"signals and their receivers; {ROUNDS} rounds in turn, by pairs {by_pairs}",
        ours=100 * statistics.median(shares),
        limit=100,
        against="the whole",
        unit="% of CPU",
        target=MOST,
        higher_is_better=False,
    )


def silent() -> Any:
    return patch.object(Signal, "send_robust", lambda *_, **__: [])


@contextmanager
def measuring() -> Iterator[None]:
    """As a worker does."""
    from messaging.monitoring.tallies import Counter
    from messaging.signals import applied

    counter = Counter()
    applied.connect(counter.applied)
    yield
    applied.disconnect(counter.applied)


@contextmanager
def counted() -> Iterator[list[float]]:
    """The seconds of CPU that sending each signal took."""
    original, spent = Signal.send_robust, list[float]()

    def timed(signal: Signal, *args: Any, **said: Any) -> Any:
        begun = time.thread_time()
        found = original(signal, *args, **said)
        spent.append(time.thread_time() - begun)
        return found

    with patch.object(Signal, "send_robust", timed):
        yield spent


def each_10_s() -> Iterator[Result]:
    from django.test import Client

    from messaging.monitoring import samples, sampling
    from messaging.monitoring.models import Sample
    from tests.support.settings import postlog

    now, client = samples.database_time(), Client()

    def sample() -> None:
        Sample.objects.all().delete()
        sampling.take(now)

    def scrape() -> None:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {'t' * 16}"})
        assert answer.status_code == 200

    yield share("sample", "one, by one of the workers, each 10 s", sample, SAMPLE_EVERY_MS)
    with postlog(METRICS_TOKEN="t" * 16):
        yield share("metrics", "one scrape, each 15 s", scrape, SCRAPED_EVERY_MS)


def share(name: str, workload: str, work: Callable[[], None], every_ms: int) -> Result:
    found = []
    for _ in range(TIMES):
        begun = time.process_time()
        work()
        found.append((time.process_time() - begun) * 1_000)
    return Result(
        name=name,
        workload=workload,
        ours=statistics.median(found),
        limit=every_ms,
        against="a process that is busy for all that time",
        unit="ms of CPU",
        target=MOST,
        higher_is_better=False,
    )
