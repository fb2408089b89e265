"""Delivery of the log's records: what the consumer polls and what a builder follows."""

from collections.abc import Callable, Mapping, Sequence

from django.db import transaction

from messaging.bus.base import Record, in_batches
from messaging.bus.rejected import without
from messaging.exceptions import HistoryMismatch
from messaging.projections.bulk_sql import DATABASE
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.checkpoints import Move
from messaging.projections.consuming.decoding import Decoded, Decoder
from messaging.projections.consuming.delivery import Delivery, Halted
from messaging.projections.models import RejectedRecord
from messaging.projections.registry import Projection
from messaging.proof import proof_of


def _alone(count: int) -> None:
    pass


class LogDelivery(Delivery[Record]):
    """Of records of the log. `alongside(count)` begins each transaction, and may refuse it."""

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
        """Deliver what a poll gave: in one transaction, or several if it is large."""
        halted: Halted = {}
        for part in in_batches(flat(records)):
            if rest := self.without(halted, part):
                halted |= self.deliver(rest)
        return halted

    def pass_over(self, moves: Mapping[int, tuple[int, int]]) -> None:
        """Move the checkpoints, from and to these offsets, over offsets that hold no record.
        Raises `FencedOff` as `take` does."""
        with transaction.atomic(using=DATABASE):
            steps = {partition: Move(old, new) for partition, (old, new) in moves.items()}
            self._alongside(0)
            checkpoints.advance(self.projection.name, self.generation, steps)

    def decode(self, items: Sequence[Record]) -> list[Decoded]:
        return Decoder(self.projection).from_log(without(items, RejectedRecord.all_of_them()))

    def advance(self, items: Sequence[Record]) -> None:
        firsts: dict[int, int] = {}
        lasts: dict[int, Record] = {}
        for record in items:
            firsts.setdefault(record.partition, record.offset - record.gap)
            lasts[record.partition] = record
        moves = {
            p: Move(firsts[p], last.offset + 1, str(proof_of(last))) for p, last in lasts.items()
        }
        self._alongside(len(items))
        checkpoints.advance(self.projection.name, self.generation, moves)

    def without(self, halted: Halted, items: Sequence[Record]) -> Sequence[Record]:
        return [record for record in items if record.partition not in halted]


def flat(records: Mapping[int, Sequence[Record]]) -> list[Record]:
    return [record for part in records.values() for record in part]


def require_dense(records: Mapping[int, Sequence[Record]], positions: Mapping[int, int]) -> None:
    """Raise `HistoryMismatch` unless the records begin at the checkpoints and no offset is
    missing, those apart that hold no record."""
    for partition, part in records.items():
        expected = positions[partition]
        offsets = len(part) + sum(record.gap for record in part)
        if part[0].offset - part[0].gap != expected or part[-1].offset != expected + offsets - 1:
            raise HistoryMismatch(
                f"Partition {partition}: expected {len(part)} records from offset {expected}, got "
                f"{part[0].offset} to {part[-1].offset}. Records are missing from the log. Run "
                "`manage.py rebuild --from store`."
            )
