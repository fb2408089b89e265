"""Kafka's two clients: what relay and consumer take of the processor with each."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.consume import consumed
from benchmarks.fill import many_events
from benchmarks.measure import Result, medians
from benchmarks.relay import produced, relayed
from tests.support.settings import postlog

ROUNDS = 5
STREAMS, EVENTS_EACH = 2_000, 30
IN_BATCH = 200  # streams of a consumer's batch
BOTH = ("confluent", "kafka-python")


def results() -> Iterator[Result]:
    from messaging.bus import current_bus
    from messaging.relay import outbox

    many_events(STREAMS, EVENTS_EACH)
    current_bus().ensure_topic()
    messages = [one.message for one in outbox.oldest(STREAMS * EVENTS_EACH)]
    size = sum(len(message.value) for message in messages) // len(messages)
    workload = f"{STREAMS * EVENTS_EACH:,} events, {size} bytes each"
    relay = medians(ROUNDS, *by_both(partial(relayed, time.process_time)))
    yield compared("relay", workload, relay, 1.0)
    ours, bare = medians(
        ROUNDS,
        by("confluent", partial(relayed, time.process_time)),
        lambda: produced(messages, time.process_time),
    )
    yield Result(
        name="relay by confluent",
        workload=workload,
        ours=ours,
        limit=bare,
        against="bare kafka-python producer, same records",
        unit="events/s of CPU",
        target=1.2,
    )
    # Last: the consumer's records are of no store.
    consumer = medians(ROUNDS, *by_both(partial(consumed, 12 * IN_BATCH, time.process_time)))
    yield compared("consumer", f"likes, {IN_BATCH} streams in each batch", consumer, 1.0)
    together = [1 / (1 / a + 1 / b) for a, b in zip(relay, consumer, strict=True)]
    yield compared("relay and consumer", "an event through both", together, 1.3)


def by(client: str, work: Callable[[], float]) -> Callable[[], float]:
    def run() -> float:
        with postlog(kafka={"client": client}):
            return work()

    return run


def by_both(work: Callable[[], float]) -> list[Callable[[], float]]:
    return [by(client, work) for client in BOTH]


def compared(name: str, workload: str, found: list[float], target: float) -> Result:
    ours, limit = found
    return Result(
        name=f"{name} by confluent",
        workload=workload,
        ours=ours,
        limit=limit,
        against="by kafka-python",
        unit="events/s of CPU",
        target=target,
    )
