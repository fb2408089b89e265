"""Dead letters: records that did not take effect, kept in the order of their stream."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from messaging.bus.base import Record
from messaging.bus.signing import FORGED, UNKNOWN_KEY, key_ring
from messaging.message import Envelope, describe
from messaging.projections.consuming.code_digest import digest_of
from messaging.projections.models import DeadLetter, Discarded
from messaging.projections.registry import PROJECTIONS


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that waits. `id` is None until it is stored."""

    id: int | None
    event_id: UUID | None
    record: Record


# An event of a type or version that this code does not know. No hand is needed: consumers with
# newer code apply it (automatic_retry.py).
WAITS_FOR_CODE = "waits for newer code"
# Records that no relay can have written. They name no stream, so that none waits for them.
IMPOSSIBLE = "impossible"
# So too, until their time has come: it may be a clock that is wrong.
FROM_THE_FUTURE = "from the future"
NOT_BELIEVED = (IMPOSSIBLE, FROM_THE_FUTURE, FORGED, UNKNOWN_KEY)
# What another ring of keys may be able to verify.
OF_THE_RING = (FORGED, UNKNOWN_KEY)
# What other code may be able to apply.
OF_THE_CODE = (WAITS_FOR_CODE, "unreadable", "poison", IMPOSSIBLE)

# Of sound events, which wait for an earlier one of their stream.
WAITS_FOR_ANOTHER = ("gap", "behind")

Place = UUID | tuple[int, int]  # an event's id; of what has none, (partition, offset)
NOT_IN_LOG = -1  # the offset of a record that was made from the store
Queue = dict[int, Letter]  # the letters of one stream, by version


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that becomes a dead letter."""

    record: Record
    envelope: Envelope | None  # None: it cannot be read that far
    code: str
    reason: str
    due_at: datetime | None = None  # when it is tried again, whatever tried it

    def __str__(self) -> str:
        where = f"partition {self.record.partition} offset {self.record.offset}"
        what = describe(self.envelope) if self.envelope else "a record"
        return f"{what} ({where}), {self.code}: {self.reason.strip()}"


@dataclass(slots=True)
class Outcome:
    """What a batch leads to beside the changed rows."""

    parked: dict[Place, Parked] = field(default_factory=dict)
    drained: list[int] = field(default_factory=list)  # ids of dead letters that took effect
    halted: dict[int, tuple[int, str]] = field(default_factory=dict)  # partition: offset, why
    failed: dict[Place, str] = field(default_factory=dict)  # the traceback
    applied: int = 0


def queues_of(
    projection: str, generation: int, streams: Collection[UUID], taken: Collection[int]
) -> defaultdict[UUID, Queue]:
    """The letters of these streams, but for those that are taken. Two statements, of which
    the second is rare."""
    queues: defaultdict[UUID, Queue] = defaultdict(dict)
    letters = DeadLetter.objects.filter(
        projection=projection, generation=generation, stream_id__isnull=False
    )
    if not letters.exists():
        return queues
    for letter in letters.filter(stream_id__in=streams).exclude(id__in=taken):
        assert letter.stream_id is not None
        assert letter.version is not None
        queues[letter.stream_id][letter.version] = Letter(
            letter.id, letter.event_id, record_of(letter)
        )
    return queues


def discarded(projection: str) -> frozenset[UUID]:
    """The events that operators gave up: few, at any time."""
    ids = Discarded.objects.filter(projection=projection).values_list("event_id", flat=True)
    return frozenset(ids)


def is_ready(projection: str) -> Q:
    """Letters of this projection that only waited, and whose predecessor has taken effect.

    What releases such a letter also applies it, but not always in one transaction. They stay when
    the process is killed, or the database goes away, in between.
    """
    released = PROJECTIONS[projection].root._default_manager.filter(
        generation=OuterRef("generation"),
        stream_id=OuterRef("stream_id"),
        version=OuterRef("version") - 1,
    )
    return Q(Exists(released), code__in=WAITS_FOR_ANOTHER)


def is_given_up(projection: str) -> Q:
    """Letters that an operator gave up: their streams go on behind them. They stay where that
    was interrupted."""
    given_up = Discarded.objects.filter(projection=projection, event_id=OuterRef("event_id"))
    return Q(Exists(given_up))


def is_head() -> Q:
    """The first letter of each stream, and every one that names no stream.

    Not told by the code: versions that come in the wrong order leave a `behind` before a `gap`.
    """
    earlier = DeadLetter.objects.filter(
        projection=OuterRef("projection"),
        generation=OuterRef("generation"),
        stream_id=OuterRef("stream_id"),
        version__lt=OuterRef("version"),
    )
    return Q(~Exists(earlier))


def record_of(letter: DeadLetter) -> Record:
    key, value = letter.key, letter.value
    return Record(
        letter.partition,
        NOT_IN_LOG if letter.offset is None else letter.offset,
        None if key is None else bytes(key),
        None if value is None else bytes(value),
        signature=None if letter.signature is None else bytes(letter.signature),
    )


def store(projection: str, generation: int, outcome: Outcome) -> None:
    """Keep what was parked, and delete what has taken effect. Needs a transaction."""
    if outcome.parked:
        DeadLetter.objects.bulk_create(
            [_dead_letter(projection, generation, p) for p in outcome.parked.values()],
            ignore_conflicts=True,
        )
    if outcome.drained:
        DeadLetter.objects.filter(id__in=outcome.drained).delete()


def tried_by(projection: str, code: str) -> str:
    """What has tried a letter with this code: the code of the projection, or the ring of keys."""
    if code in OF_THE_RING:
        ring = key_ring()
        return "" if ring is None else ring.digest
    return digest_of(PROJECTIONS[projection])


def _dead_letter(projection: str, generation: int, parked: Parked) -> DeadLetter:
    envelope = parked.envelope
    return DeadLetter(
        projection=projection,
        generation=generation,
        stream_id=None if envelope is None else envelope.stream_id,
        version=None if envelope is None else envelope.version,
        event_id=None if envelope is None else envelope.event_id,
        partition=parked.record.partition,
        offset=None if parked.record.offset == NOT_IN_LOG else parked.record.offset,
        key=parked.record.key,
        value=parked.record.value,
        signature=parked.record.signature,
        code=parked.code,
        reason=parked.reason,
        tried_by=tried_by(projection, parked.code),
        due_at=parked.due_at,
    )
