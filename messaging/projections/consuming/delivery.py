"""Delivery: a batch takes effect in one generation, with its checkpoint, or not at all."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from django.db import transaction

from messaging.exceptions import HistoryMismatch
from messaging.projections.bulk_sql import DATABASE
from messaging.projections.consuming import checkpoints, ordering
from messaging.projections.consuming.breaker import FaultWindow
from messaging.projections.consuming.dead_letters import (
    NOT_BELIEVED,
    OF_THE_RING,
    WAITS_FOR_ANOTHER,
    WAITS_FOR_CODE,
    Outcome,
    Parked,
    Place,
    record_of,
    store,
    tried_by,
)
from messaging.projections.consuming.decoding import Decoded, Decoder
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Projection
from messaging.projections.rows import RefusedRows

T = TypeVar("T")

log = logging.getLogger("postlog.delivery")

Halted = dict[int, str]  # partition -> why
LETTERS = 1_000  # that are delivered in one transaction


class Delivery(ABC, Generic[T]):
    """Of one consumer or builder. T is what it delivers: records, events of the store, letters."""

    drains = True  # whether what waits behind an event takes effect with it
    taken: Collection[int] = ()  # the ids of letters that are being delivered themselves

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

        Raises `FencedOff` if the checkpoint is not where they begin, `TooManyFailures` if
        most events fail.
        """
        try:
            return self._in_one_transaction(items)
        except RefusedRows as error:
            if len(items) == 1:
                return self._alone(items, str(error))
            half = len(items) // 2
            halted = self.deliver(items[:half])
            rest = self.without(halted, items[half:])
            return halted | self.deliver(rest) if rest else halted

    def _alone(self, items: Sequence[T], why: str) -> Halted:
        """The item is bad, or one of the letters behind it, which its coming has released."""
        if not self.drains:
            return self._in_one_transaction(items, refused=why)
        self.drains = False
        try:
            halted = self.deliver(items)
        finally:
            self.drains = True
        for decoded in self.decode(items):
            if decoded.envelope is not None:
                reopen(self.projection, self.generation, decoded.envelope.stream_id)
        return halted

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
        session, outcome = ordering.apply(
            self.projection,
            self.generation,
            self.decode(items),
            refused=refused,
            drains=self.drains,
            taken=self.taken,
        )
        self._faults.require_sound_code(outcome)
        session.write()
        self.keep(outcome)
        for partition, (offset, reason) in outcome.halted.items():
            checkpoints.halt(self.projection.name, self.generation, partition, offset, reason)
        return outcome

    def keep(self, outcome: Outcome) -> None:
        """Store what was parked, in the same transaction."""
        store(self.projection.name, self.generation, outcome)

    def committed(self, outcome: Outcome) -> Halted:
        self._faults.moved_on()
        self._tell(list(outcome.parked.values()))
        for partition, (_, reason) in outcome.halted.items():
            log.error("%s: partition %d is halted. %s", self.projection.name, partition, reason)
        return {partition: reason for partition, (_, reason) in outcome.halted.items()}

    def _tell(self, parked: Sequence[Parked]) -> None:
        name = self.projection.name
        for one in parked:
            # A gap often heals by itself: it is reported when it does not (gaps.py).
            if one.code not in (*WAITS_FOR_ANOTHER, *NOT_BELIEVED, WAITS_FOR_CODE):
                log.error("%s: parked %s", name, one)
        # Whoever writes one such record can write a million.
        if strange := [one for one in parked if one.code in NOT_BELIEVED]:
            log.error(
                "%s: %d records are not believed. The first: %s", name, len(strange), strange[0]
            )
        if waiting := [one for one in parked if one.code == WAITS_FOR_CODE]:
            log.warning(
                "%s: %d streams wait for newer code: this one does not know the type or version of "
                "an event. Start a consumer with the newer code. The first: %s",
                name, len(waiting), waiting[0],
            )  # fmt: skip


class LetterDelivery(Delivery[DeadLetter]):
    """Of the dead letters of one stream, in order, or of one that names no stream."""

    drains = False  # all that waits is delivered here, letter by letter

    def __init__(self, projection: Projection, generation: int) -> None:
        super().__init__(projection, generation)
        self.applied = 0
        self.parked = 0
        self._ids: dict[Place, int] = {}

    def advance(self, items: Sequence[DeadLetter]) -> None:
        """Nothing moves, but the owner of the partition has to wait."""
        partitions = {letter.partition for letter in items}
        checkpoints.hold(self.projection.name, self.generation, partitions)
        ids = [letter.id for letter in items]
        self.taken = set(DeadLetter.objects.filter(id__in=ids).values_list("id", flat=True))

    def decode(self, items: Sequence[DeadLetter]) -> list[Decoded]:
        """Those that are still there: what waited may have taken effect meanwhile."""
        there = [letter for letter in items if letter.id in self.taken]
        decoder = Decoder(self.projection)
        decoded = [_decoded(decoder, letter) for letter in there]
        self._ids = {d.place: letter.id for d, letter in zip(decoded, there, strict=True)}
        return [one for one in decoded if one.concerns(self.projection.stream_type)]

    def keep(self, outcome: Outcome) -> None:
        """A letter that fails again stays as it is, with its new reason; others are done."""
        for _, reason in outcome.halted.values():
            raise HistoryMismatch(reason)
        failed = set()
        for place, parked in outcome.parked.items():
            failed.add(self._ids[place])
            DeadLetter.objects.filter(id=self._ids[place]).update(
                code=parked.code,
                reason=parked.reason,
                tried_by=tried_by(self.projection.name, parked.code),
                due_at=parked.due_at,
            )
        DeadLetter.objects.filter(id__in=set(self.taken) - failed).delete()

    def committed(self, outcome: Outcome) -> Halted:
        self.applied += len(self.taken) - len(outcome.parked)
        self.parked += len(outcome.parked)
        return super().committed(outcome)


def _decoded(decoder: Decoder, letter: DeadLetter) -> Decoded:
    """One that names a stream was believed when it was parked."""
    if letter.stream_id is None:
        return decoder.record_of_the_log(record_of(letter), signed=letter.code in OF_THE_RING)
    return decoder.believed(record_of(letter))


def reopen(projection: Projection, generation: int, stream_id: UUID) -> LetterDelivery:
    """Deliver what waits of a stream, in order, until something fails again or nothing is
    left. Its counters say how it went. Raises as `deliver` does."""
    delivery = LetterDelivery(projection, generation)
    waiting = DeadLetter.objects.filter(
        projection=projection.name, generation=generation, stream_id=stream_id
    ).order_by("version")
    while not delivery.parked and (letters := list(waiting[:LETTERS])):
        delivery.deliver(letters)
    return delivery
