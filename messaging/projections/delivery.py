"""Delivery: a batch takes effect in one generation, with its checkpoint, or not at all."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from django.db import transaction

from messaging.bus.base import Record
from messaging.exceptions import Loss
from messaging.projections import batch, checkpoints
from messaging.projections.batch import Decoded
from messaging.projections.deadletters import Outcome, store
from messaging.projections.faults import FaultWindow
from messaging.projections.registry import Projection
from messaging.projections.rowstore import DATABASE
from messaging.projections.session import RefusedRows

T = TypeVar("T")

log = logging.getLogger("postlog.delivery")

Halted = dict[int, str]  # partition -> why


class Delivery(ABC, Generic[T]):
    """Of one consumer or builder. T is what it delivers: records, or events of the store."""

    def __init__(self, projection: Projection, generation: int) -> None:
        self.projection = projection
        self.generation = generation
        self._faults = FaultWindow()

    @abstractmethod
    def decode(self, items: Sequence[T]) -> list[Decoded]: ...

    @abstractmethod
    def advance(self, items: Sequence[T]) -> None:
        """Move the checkpoint over the items, in the transaction in which they take effect.
        Raises if somebody else has moved it."""

    def deliver(self, items: Sequence[T]) -> Halted:
        """Let the items take effect; where the database refuses them, find the bad one.

        Raises `LostPartition` if the checkpoint is not where they begin, `CodeAtFault` if
        most events fail.
        """
        try:
            return self._in_one_transaction(items)
        except RefusedRows as error:
            if len(items) == 1:
                return self._in_one_transaction(items, refused=str(error))
            half = len(items) // 2
            halted = self.deliver(items[:half])
            rest = self.without(halted, items[half:])
            return halted | self.deliver(rest) if rest else halted

    def without(self, halted: Halted, items: Sequence[T]) -> Sequence[T]:
        return items

    def _in_one_transaction(self, items: Sequence[T], *, refused: str = "") -> Halted:
        with transaction.atomic(using=DATABASE, durable=True):
            outcome = self.apply(items, refused=refused)
        return self.committed(outcome)

    def apply(self, items: Sequence[T], *, refused: str = "") -> Outcome:
        """The checkpoint, the rows and the dead letters. Needs a transaction; `committed`
        is called after it."""
        # First, so that a second owner of a partition waits here, and then fails.
        self.advance(items)
        decoded = self.decode(items)
        session, outcome = batch.apply(self.projection, self.generation, decoded, refused=refused)
        self._faults.require_sound_code(outcome)
        session.write()
        store(self.projection.name, self.generation, outcome)
        for partition, (offset, reason) in outcome.halted.items():
            checkpoints.halt(self.projection.name, self.generation, partition, offset, reason)
        return outcome

    def committed(self, outcome: Outcome) -> Halted:
        self._faults.moved_on()
        for parked in outcome.parked.values():
            # A gap often heals by itself: it is reported when it does not (gaps.py).
            if parked.code not in ("gap", "behind"):
                log.error("%s: parked %s", self.projection.name, parked)
        for partition, (_, reason) in outcome.halted.items():
            log.error("%s: partition %d is halted. %s", self.projection.name, partition, reason)
        return {partition: reason for partition, (_, reason) in outcome.halted.items()}


def _alone(count: int) -> None:
    pass


class LogDelivery(Delivery[Record]):
    """Of records of the log. `alongside(count)` joins each transaction."""

    def __init__(
        self,
        projection: Projection,
        generation: int,
        *,
        alongside: Callable[[int], None] = _alone,
    ) -> None:
        super().__init__(projection, generation)
        self._alongside = alongside

    def take(self, records: Mapping[int, Sequence[Record]]) -> Halted:
        """Deliver what a poll gave."""
        return self.deliver(flat(records))

    def decode(self, items: Sequence[Record]) -> list[Decoded]:
        return batch.decode(self.projection, items)

    def advance(self, items: Sequence[Record]) -> None:
        moves: dict[int, tuple[int, int]] = {}
        for record in items:
            first, _ = moves.get(record.partition, (record.offset, 0))
            moves[record.partition] = (first, record.offset + 1)
        checkpoints.advance(self.projection.name, self.generation, moves)
        self._alongside(len(items))

    def without(self, halted: Halted, items: Sequence[Record]) -> Sequence[Record]:
        return [record for record in items if record.partition not in halted]


def flat(records: Mapping[int, Sequence[Record]]) -> list[Record]:
    return [record for part in records.values() for record in part]


def require_dense(records: Mapping[int, Sequence[Record]], positions: Mapping[int, int]) -> None:
    """Raise `Loss` unless the records begin at the checkpoints and no offset is missing."""
    for partition, part in records.items():
        expected = positions[partition]
        if part[0].offset != expected or part[-1].offset != expected + len(part) - 1:
            raise Loss(
                f"Partition {partition}: expected {len(part)} records from offset {expected}, got "
                f"{part[0].offset} to {part[-1].offset}. Records are missing from the log. Run "
                "`manage.py rebuild --from store`."
            )
