"""After an outage: 100,000 events wait, one of them poison, and people go on writing."""

import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from benchmarks.measure import Result
from benchmarks.write import new_posts

ROOT = Path(__file__).resolve().parents[1]
STREAMS, EACH = 10_000, 10
WORKLOAD = f"{STREAMS * EACH:,} events of {STREAMS:,} streams waiting in Kafka"


def results() -> Iterator[Result]:
    sound, _ = consumed(poison=False)
    poisoned, _ = consumed(poison=True)
    yield Result(
        name="consuming past a poison event in the middle",
        workload=WORKLOAD,
        ours=poisoned,
        limit=sound,
        against="without it",
        unit="events/s",
        target=0.90,
    )
    yield from while_commands_are_sent(sound)
    yield in_two_processes()


def while_commands_are_sent(sound: float) -> Iterator[Result]:
    sender = Sender()
    time.sleep(8)
    quiet = sender.p99_ms()
    busy_rate, busy = consumed(poison=False, meanwhile=True)
    yield Result(
        name="catching up while commands are sent",
        workload=f"{WORKLOAD}; 20 commands/s meanwhile",
        ours=busy_rate,
        limit=sound,
        against="catching up alone",
        unit="events/s",
        target=0.90,
    )
    yield Result(
        name="commands while the consumer catches up, p99",
        workload="20 commands/s",
        ours=busy,
        limit=quiet,
        against="with nothing to catch up",
        unit="ms",
        target=2.0,
        higher_is_better=False,
    )


def in_two_processes() -> Result:
    alone, together = shared(1), shared(2)
    return Result(
        name="consuming in 2 processes",
        workload=WORKLOAD,
        ours=together,
        limit=alone,
        against="in one",
        unit="events/s",
        target=1.5,
    )


def published(*, poison: bool) -> None:
    """Straight into the topic, in turn over the streams; the bad one in the middle."""
    from contracts.posts import CommentUpdated, PostCreated, PostLiked
    from messaging.bus import current_bus
    from tests.support.records import record_of

    ids: list[UUID] = [uuid4() for _ in range(STREAMS)]
    publisher = current_bus().publisher()
    for version in range(1, EACH + 1):
        events: list[object] = [
            PostCreated(post_id=i, author="a", message="Hi " * 20)
            if version == 1
            else PostLiked(post_id=i, username=f"person{version}")
            for i in ids
        ]
        if poison and version == EACH // 2:
            middle = STREAMS // 2
            events[middle] = CommentUpdated(post_id=ids[middle], comment_id=uuid4(), text="?")
        publisher.publish([record_of(i, version, e) for i, e in zip(ids, events, strict=True)])
    publisher.close()


def to_the_end() -> None:
    """What was published before is no part of the measurement."""
    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.models import Checkpoint
    from messaging.projections.registry import PROJECTIONS

    bus = current_bus()
    bus.ensure_topic()
    for name in PROJECTIONS:
        checkpoints.begin(name, bus.identity())
        for partition, end in bus.end_offsets().items():
            Checkpoint.objects.filter(projection=name, partition=partition).update(offset=end)


def consumed(*, poison: bool, meanwhile: bool = False) -> tuple[float, float]:
    """Events a second of one consumer of posts; and the p99 of commands sent meanwhile."""
    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.consuming.log_delivery import LogDelivery
    from queries_app.projections import posts

    to_the_end()
    published(poison=poison)
    bus = current_bus()
    sender = Sender() if meanwhile else None
    generation = checkpoints.live_generation("posts")  # another benchmark may have rebuilt it
    delivery = LogDelivery(posts, generation)
    ends = bus.end_offsets()
    at = checkpoints.offsets("posts", generation, ends)
    reader = bus.reader(at)
    begun = time.perf_counter()
    while at != ends:
        records = reader.poll(timeout_s=1, max_records=1_000).records
        if records:
            delivery.take(records)
        at |= {partition: part[-1].offset + 1 for partition, part in records.items()}
    found = STREAMS * EACH / (time.perf_counter() - begun)
    reader.close()
    return found, sender.p99_ms() if sender is not None else 0.0


class Sender:
    """Commands, 20 a second, from a process of its own, as a web server's are."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.outage"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def p99_ms(self) -> float:
        """Stop it, and hear how long they took."""
        told, _ = self._process.communicate("stop")
        return float(told)


def send_until_told() -> float:
    """The p99 in ms of commands sent until something comes on standard input."""
    import django

    django.setup()
    from commands_app.commands import EditMessage
    from messaging import mediator
    from messaging.message import Context

    author, times = Context(actor="author"), list[float]()
    post_id = new_posts(1)[0]
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        begun = time.perf_counter()
        mediator.send(EditMessage(post_id=post_id, message=f"text {len(times)}"), author)
        times.append((time.perf_counter() - begun) * 1_000)
    return statistics.quantiles(times, n=100)[98]


def shared(processes: int) -> float:
    """Events a second of `runconsumer --no-relay` in so many processes, from when all have
    their partitions."""
    from django.db import transaction

    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.models import Checkpoint
    from messaging.projections.registry import PROJECTIONS

    to_the_end()
    command = [sys.executable, "manage.py", "runconsumer", "--no-relay"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    workers = [subprocess.Popen(command, cwd=ROOT, **quiet) for _ in range(processes)]  # type: ignore[call-overload]
    time.sleep(15)  # the partitions settle
    with transaction.atomic(using="read"):
        held = Checkpoint.objects.select_for_update()  # so that all begin together
        assert len(held) == 12 * len(PROJECTIONS)
        published(poison=False)
        ends, begun = current_bus().end_offsets(), time.perf_counter()
    generation = checkpoints.live_generation("posts")
    while checkpoints.offsets("posts", generation, ends) != ends:
        time.sleep(0.05)
    found = STREAMS * EACH / (time.perf_counter() - begun)
    for worker in workers:
        worker.terminate()
        worker.wait()
    return found


if __name__ == "__main__":
    print(send_until_told())  # noqa: T201
