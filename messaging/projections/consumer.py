"""The consumer: takes batches from the bus and lets each event take effect once."""

import logging
import time
from collections.abc import Mapping, Sequence
from threading import Event as Flag

from django.db import InterfaceError, OperationalError, connections, transaction

from messaging.bus.base import Bus, Record, Subscription
from messaging.exceptions import BusError, Loss, LostPartition, OffsetOutOfRange
from messaging.projections import batch, checkpoints
from messaging.projections.deadletters import store
from messaging.projections.registry import Projection
from messaging.projections.rowstore import DATABASE
from messaging.projections.session import RefusedRows

log = logging.getLogger("postlog.consumer")

BATCH = 1_000  # records in one transaction
IDENTITY_EVERY_S = 10.0
LONGEST_BACKOFF_S = 10.0


class Consumer:
    """Feeds one projection, with the partitions that its group gives it. One thread."""

    def __init__(self, projection: Projection, bus: Bus) -> None:
        self._projection = projection
        self._bus = bus
        self._name = projection.name
        self._group = f"postlog.{projection.name}"
        self._generation = 0
        self._positions: dict[int, int] = {}  # partition -> the next offset
        self._identity_checked = 0.0

    def run(self, stop: Flag) -> None:
        """Consume until `stop` is set; the batch at hand is finished first.

        Raises `Loss` and `CodeAtFault`, which no retry can mend. Waits and tries again
        when the database or the bus is away.
        """
        failures = 0
        while not stop.is_set():
            try:
                self._bus.ensure_topic()
                self._start()
                subscription = self._bus.subscribe(self._group)
                try:
                    while not stop.is_set():
                        self._step(subscription)
                        failures = 0
                finally:
                    subscription.close()
            except (BusError, OperationalError, InterfaceError) as error:
                failures += 1
                pause = min(LONGEST_BACKOFF_S, 0.1 * 2**failures)
                log.warning("%s: %s. Trying again in %.1f s.", self._name, _line(error), pause)
                connections[DATABASE].close()
                stop.wait(pause)

    def _start(self) -> None:
        self._generation = checkpoints.live_generation(self._name)
        checkpoints.begin(self._name, self._generation, self._bus.identity())
        self._identity_checked = time.monotonic()

    def _step(self, subscription: Subscription) -> None:
        try:
            polled = subscription.poll(timeout_s=0.5, max_records=BATCH)
        except OffsetOutOfRange:
            self._require_identity()  # which says more, if the topic was made anew
            raise
        if polled.changed:
            self._seek(subscription, polled.assignment)
        self._check_identity()
        if not polled.records:
            return
        for partition, records in polled.records.items():
            require_dense(partition, records, self._positions[partition])
        try:
            self._take(subscription, polled.records)
        except LostPartition as error:
            log.info("%s: another consumer was first. %s", self._name, error)
            self._generation = checkpoints.live_generation(self._name)
            self._seek(subscription, polled.assignment)

    def _seek(self, subscription: Subscription, assignment: frozenset[int]) -> None:
        self._positions = checkpoints.offsets(self._name, self._generation, assignment)
        for partition, offset in self._positions.items():
            subscription.seek(partition, offset)
        log.info("%s: partitions %s", self._name, sorted(assignment) or "none")

    def _check_identity(self) -> None:
        """A topic that was made anew is not seen by who reads it: ask from time to time."""
        if time.monotonic() - self._identity_checked < IDENTITY_EVERY_S:
            return
        self._require_identity()

    def _require_identity(self) -> None:
        checkpoints.require_identity(self._name, self._generation, self._bus.identity())
        self._identity_checked = time.monotonic()

    def _take(self, subscription: Subscription, records: Mapping[int, Sequence[Record]]) -> None:
        """Let the records take effect; where the database refuses them, find the bad one."""
        try:
            halted = self._commit(records)
        except RefusedRows as error:
            flat = [record for part in records.values() for record in part]
            if len(flat) == 1:
                halted = self._commit(records, refused=str(error))
            else:
                for half in (flat[: len(flat) // 2], flat[len(flat) // 2 :]):
                    self._take(subscription, _by_partition(half))
                return
        for partition, (_, reason) in halted.items():
            log.error("%s: partition %d is halted. %s", self._name, partition, reason)
            subscription.pause(partition)

    def _commit(
        self, records: Mapping[int, Sequence[Record]], *, refused: str = ""
    ) -> dict[int, tuple[int, str]]:
        """One transaction: the checkpoint, the rows and the dead letters."""
        moves = {p: (part[0].offset, part[-1].offset + 1) for p, part in records.items()}
        flat = [record for part in records.values() for record in part]
        decoded = batch.decode(self._projection, flat)
        with transaction.atomic(using=DATABASE, durable=True):
            # First, so that a second owner of a partition waits here, and then fails.
            checkpoints.advance(self._name, self._generation, moves)
            session, outcome = batch.apply(
                self._projection, self._generation, decoded, refused=refused
            )
            session.write()
            store(self._name, self._generation, outcome)
            for partition, (offset, reason) in outcome.halted.items():
                checkpoints.halt(self._name, self._generation, partition, offset, reason)
        for partition, (_, end) in moves.items():
            self._positions[partition] = end
        for parked in outcome.parked.values():
            log.error("%s: parked %s", self._name, parked)
        return outcome.halted


def require_dense(partition: int, records: Sequence[Record], expected: int) -> None:
    """Raise `Loss` unless the records begin at the checkpoint and no offset is missing."""
    if records[0].offset != expected or records[-1].offset != expected + len(records) - 1:
        raise Loss(
            f"Partition {partition}: expected {len(records)} records from offset {expected}, got "
            f"{records[0].offset} to {records[-1].offset}. Records are missing from the log."
        )


def _by_partition(records: Sequence[Record]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record)
    return found


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
