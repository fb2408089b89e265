"""The consumer's work, in this process: takes what the log holds behind the checkpoints."""

from threading import Event as Flag
from threading import Thread

from django.db import connections

from messaging.bus import current_bus
from messaging.bus.base import Record
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.consumer import Consumer
from messaging.projections.consuming.log_delivery import LogDelivery, require_dense
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


class Running:
    """A consumer in a thread of its own, as `runconsumer` has one for each projection."""

    def __init__(self, projection: Projection = posts) -> None:
        self._consumer = Consumer(projection, current_bus())
        self._stop = Flag()
        self.error: BaseException | None = None
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._consumer.run(self._stop)
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    @property
    def last_error(self) -> str:
        return self._consumer.last_error

    def owned(self) -> set[int]:
        """The partitions that it has sought."""
        return set(self._consumer._positions)

    def stop(self) -> None:
        """Leave the group in order."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def shared(*consumers: Running) -> bool:
    """Each has some, together they have all partitions, and none twice."""
    owned = [one.owned() for one in consumers]
    return all(owned) and sorted(p for some in owned for p in some) == list(range(12))
