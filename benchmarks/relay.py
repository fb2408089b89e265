"""The relay: from the outbox to acknowledged in Kafka."""

import os
import time
from collections.abc import Callable, Iterator
from threading import Event as Flag
from typing import Any

from kafka import KafkaProducer

from benchmarks.fill import fill_outbox_again, many_events
from benchmarks.measure import Result, medians

STREAMS, EVENTS_EACH = 500, 60


def results() -> Iterator[Result]:
    from messaging.bus import current_bus
    from messaging.relay import outbox

    many_events(STREAMS, EVENTS_EACH)
    bus = current_bus()
    bus.ensure_topic()
    count = STREAMS * EVENTS_EACH
    messages = [one.message for one in outbox.oldest(count)]
    size = sum(len(message.value) for message in messages) // count
    ours, bare = medians(3, relayed, lambda: produced(messages))
    yield Result(
        name="relay",
        workload=f"{count:,} events of {STREAMS} streams, {size} bytes each, 12 partitions",
        ours=ours,
        limit=bare,
        against="bare kafka-python producer, same records",
        unit="events/s",
        target=0.60,
    )


def relayed(clock: Callable[[], float] = time.perf_counter) -> float:
    from messaging.bus import current_bus
    from messaging.relay import outbox
    from messaging.relay.relay import Relay

    fill_outbox_again()
    count = outbox.waiting()
    relay = Relay(current_bus())
    assert relay._leadership.acquire()
    relay._lead(Flag())
    begun = clock()
    while relay.run_once():
        pass
    found = count / (clock() - begun)
    relay.close()
    return found


def produced(messages: list[Any], clock: Callable[[], float] = time.perf_counter) -> float:
    from messaging.bus.base import partition_of
    from messaging.bus.kafka.records import HEADERS

    producer = KafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        enable_idempotence=True,
        acks="all",
        linger_ms=5,
        batch_size=256 * 1024,
        compression_type="lz4",
        metrics_enabled=False,
    )
    producer.partitions_for("bench")
    begun = clock()
    for key, value, _ in messages:
        partition = partition_of(key, 12)
        producer.send("bench", value=value, key=key.encode(), headers=HEADERS, partition=partition)
    producer.flush()
    found = len(messages) / (clock() - begun)
    producer.close()
    return found
