"""The consumer in this process, step by step or in a thread."""

from collections.abc import Mapping, Sequence
from functools import partial
from threading import Event as Flag
from threading import Thread

from django.db import connections

from messaging.bus import current_bus
from messaging.bus.base import LogRecord
from messaging.projections.consuming import transaction
from messaging.projections.consuming.breaker import Breaker
from messaging.projections.consuming.consumer import Consumer
from messaging.projections.registry import Projection
from messaging.testing import delivery
from queries_app.projections import posts


def consume_all(projection: Projection = posts) -> dict[int, str]:
    """Up to where the log ends now. Returns the partitions that are halted, and why."""
    return delivery.consume_all(projection)


def take(
    records: Mapping[int, Sequence[LogRecord]], generation: int = 1, projection: Projection = posts
) -> dict[int, str]:
    """What a consumer of this generation does with a poll that gave these records."""
    one = partial(transaction.consume, projection, generation, Breaker())
    return transaction.consume_all(projection, generation, records, one)


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
