"""The consumer's work, in this process: takes what the log holds behind the checkpoints."""

from messaging.bus import current_bus
from messaging.bus.base import Record
from messaging.projections import checkpoints
from messaging.projections.consumer import Consumer, require_dense
from messaging.projections.registry import Projection
from queries_app.projections import posts


class _NoGroup:
    """Stands where a subscription is paused."""

    def pause(self, partition: int) -> None:
        pass


def consume_all(projection: Projection = posts) -> None:
    consumer = Consumer(projection, current_bus())
    consumer._start()
    bus = current_bus()
    at = checkpoints.offsets(projection.name, consumer._generation, range(bus.partitions))  # type: ignore[attr-defined]
    batch: dict[int, list[Record]] = {}
    for partition, end in bus.end_offsets().items():
        found = [r for part in bus.read(partition, at[partition], end) for r in part]
        if found:
            require_dense(partition, found, at[partition])
            batch[partition] = found
    if batch:
        consumer._take(_NoGroup(), batch)  # type: ignore[arg-type]
