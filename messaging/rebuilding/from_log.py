"""Following the log into a generation that is being built."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from messaging.bus.base import Bus, Record
from messaging.exceptions import BusError, HistoryMismatch
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import Outcome
from messaging.projections.consuming.delivery import Halted
from messaging.projections.consuming.log_delivery import LogDelivery, flat, require_dense
from messaging.projections.registry import Projection

Batch = Mapping[int, list[Record]]  # by partition

BATCH = 5_000  # records in one transaction
PATIENCE_S = 30  # without any record, though there must be some


class Follower:
    """Applies what the log holds behind the checkpoints of a generation. After an error, or a
    transaction that did not commit, it is of no more use: make another."""

    def __init__(
        self,
        projection: Projection,
        generation: int,
        bus: Bus,
        alongside: Callable[[int], None],
    ) -> None:
        self.identity = str(bus.identity())
        self._positions = checkpoints.offsets(projection.name, generation, bus.end_offsets())
        checkpoints.require_same_log(projection.name, generation, bus, self._positions)
        self._reader = bus.reader(self._positions)
        self._delivery = LogDelivery(projection, generation, alongside=alongside)
        self._outcomes: list[Outcome] = []  # of the transaction that is open

    def __enter__(self) -> "Follower":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    def left(self, wanted: Mapping[int, int]) -> int:
        """How many records are missing to these offsets."""
        return sum(max(0, offset - self._positions[p]) for p, offset in wanted.items())

    def read_to(self, wanted: Mapping[int, int], go_on: Callable[[], None]) -> None:
        """Apply what comes up to these offsets at least, batch by batch."""
        self._read(wanted, self._delivery.take, go_on)

    def apply_to(self, wanted: Mapping[int, int]) -> None:
        """The same within the transaction that is open; `committed` is called after it."""
        self._read(wanted, self._apply, lambda: None)

    def committed(self) -> None:
        for outcome in self._outcomes:
            self._delivery.committed(outcome)

    def _apply(self, records: Batch) -> Halted:
        outcome = self._delivery.apply(flat(records))
        self._outcomes.append(outcome)
        return {partition: reason for partition, (_, reason) in outcome.halted.items()}

    def _read(
        self,
        wanted: Mapping[int, int],
        take: Callable[[Batch], Halted],
        go_on: Callable[[], None],
    ) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.left(wanted):
            go_on()
            records, passed = self._reader.poll(timeout_s=0.5, max_records=BATCH)
            if not records and not passed:
                if time.monotonic() > deadline:
                    raise BusError(f"The log gave nothing for {PATIENCE_S} s.")
                continue
            deadline = time.monotonic() + PATIENCE_S
            require_dense(records, self._positions)
            if records:
                for reason in take(records).values():
                    raise HistoryMismatch(reason)
            if passed:
                self._delivery.pass_over({p: (self._positions[p], to) for p, to in passed.items()})
            self._positions |= passed
            self._positions |= {p: part[-1].offset + 1 for p, part in records.items()}
