"""The consumer's work, in this process: takes what the log holds behind the checkpoints."""

from messaging.bus import current_bus
from messaging.bus.base import Record
from messaging.projections import checkpoints
from messaging.projections.logdelivery import LogDelivery, require_dense
from messaging.projections.registry import Projection
from queries_app.projections import posts


def consume_all(projection: Projection = posts) -> dict[int, str]:
    """Returns the partitions that are halted, and why."""
    bus = current_bus()
    bus.ensure_topic()
    generation = checkpoints.begin(projection.name, bus.identity())
    ends = bus.end_offsets()
    at = checkpoints.offsets(projection.name, generation, ends)
    batch: dict[int, list[Record]] = {}
    for partition, end in ends.items():
        found = [r for part in bus.read(partition, at[partition], end) for r in part]
        if found:
            batch[partition] = found
    require_dense(batch, at)
    return LogDelivery(projection, generation).take(batch) if batch else {}
