"""Following the log into a generation that is being built."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from messaging.bus.base import Bus, Fetched, Reader
from messaging.exceptions import BusError
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.transaction import require_dense
from messaging.projections.registry import Projection

BATCH = 5_000  # records in one transaction
PATIENCE_S = 30  # without any record, though there must be some


class LogTail:
    """The records after the checkpoints of a generation. After an error, or a transaction that did
    not commit, open another: this one has read on."""

    def __init__(self, reader: Reader, positions: dict[int, int], identity: str) -> None:
        self._reader = reader
        self.positions = positions  # partition -> the next offset
        self.identity = identity  # of the log

    def remaining(self, wanted: Mapping[int, int]) -> int:
        """How many records are left up to these offsets."""
        return sum(max(0, offset - self.positions[p]) for p, offset in wanted.items())

    def read_to(
        self, wanted: Mapping[int, int], check_cancelled: Callable[[], None]
    ) -> Iterator[Fetched]:
        """Yield the records up to these offsets at least, in batches. The positions advance when
        the next batch is asked for. `check_cancelled` is called before each, and may raise."""
        deadline = time.monotonic() + PATIENCE_S
        while self.remaining(wanted):
            check_cancelled()
            fetched = self._reader.poll(timeout_s=0.5, max_records=BATCH)
            if not fetched.records and not fetched.passed:
                if time.monotonic() > deadline:
                    raise BusError(f"The log gave nothing for {PATIENCE_S} s.")
                continue
            deadline = time.monotonic() + PATIENCE_S
            require_dense(fetched.records, self.positions)
            yield fetched
            self.positions |= fetched.passed
            self.positions |= {p: part[-1].offset + 1 for p, part in fetched.records.items()}


@contextmanager
def log_tail(projection: Projection, generation: int, bus: Bus) -> Iterator[LogTail]:
    """Raises `LostTail` if the log does not hold what was read of it."""
    identity = str(bus.identity())
    positions = checkpoints.offsets(projection.name, generation, bus.end_offsets())
    checkpoints.require_same_log(projection.name, generation, bus, positions)
    reader = bus.reader(positions)
    try:
        yield LogTail(reader, positions, identity)
    finally:
        reader.close()
