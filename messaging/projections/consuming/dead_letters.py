"""Dead letters: events that are parked because they could not be applied, by version of their
stream."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Exists, OuterRef, Q

from messaging.bus.base import LogRecord
from messaging.bus.signing import FORGED, UNKNOWN_KEY, key_ring
from messaging.conf import read_alias
from messaging.dialect.kept import KeptStatement
from messaging.message import Envelope, describe
from messaging.projections.consuming.code_digest import digest_of
from messaging.projections.models import DeadLetter, Discarded
from messaging.projections.registry import PROJECTIONS

log = logging.getLogger("postlog.consuming")


# An event of a type or version that this code does not know. No hand is needed: consumers with
# newer code apply it (automatic_retry.py).
WAITS_FOR_CODE = "waits for newer code"
# Records that no relay can have written. They name no stream, so that none waits for them.
IMPOSSIBLE = "impossible"
# Dated in the future: not believed until then, since it may only be a wrong clock.
FROM_THE_FUTURE = "from the future"
NOT_BELIEVED = (IMPOSSIBLE, FROM_THE_FUTURE, FORGED, UNKNOWN_KEY)
# Another ring of keys may be able to verify these.
OF_THE_RING = (FORGED, UNKNOWN_KEY)
# Other code may be able to apply these.
OF_THE_CODE = (WAITS_FOR_CODE, "unreadable", "poison", IMPOSSIBLE)

# Codes of sound events, which wait for an earlier one of their stream.
WAITS_FOR_ANOTHER = ("gap", "behind")

RecordKey = UUID | tuple[int, int]  # the event's id; without one, (partition, offset)
ANY_SET_ASIDE = KeptStatement(
    "postlog_any_set_aside",
    """
    SELECT EXISTS (SELECT 1 FROM messaging_deadletter
        WHERE projection = %s AND generation = %s AND stream_id IS NOT NULL)
      OR EXISTS (SELECT 1 FROM messaging_discarded WHERE projection = %s)
    """,
)
# Of the streams from the last one on, each found by the index behind the one before: among a
# hundred thousand events behind one stream's first, nothing but that first one is read.
HEADS = KeptStatement(
    "postlog_dead_letter_heads",
    """
    WITH RECURSIVE streams(stream_id, number) AS (
      SELECT * FROM (SELECT stream_id, 1 FROM messaging_deadletter
        WHERE projection = %s AND generation = %s AND stream_id IS NOT NULL
        ORDER BY stream_id DESC LIMIT 1) AS newest
      UNION ALL
      SELECT (SELECT one.stream_id FROM messaging_deadletter one
          WHERE one.projection = %s AND one.generation = %s AND one.stream_id < streams.stream_id
          ORDER BY one.stream_id DESC LIMIT 1), number + 1
        FROM streams WHERE stream_id IS NOT NULL AND number < %s)
    SELECT (SELECT one.id FROM messaging_deadletter one
        WHERE one.projection = %s AND one.generation = %s AND one.stream_id = streams.stream_id
        ORDER BY one.version LIMIT 1)
      FROM streams WHERE stream_id IS NOT NULL
    """,
)
NOT_IN_LOG = -1  # the offset of a record that was made from the store


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A record to be stored as a dead letter."""

    record: LogRecord
    envelope: Envelope | None  # None: it cannot be decoded, or is not believed
    code: str
    reason: str
    due_at: datetime | None = None  # when to retry it, whichever code parked it

    def __str__(self) -> str:
        where = f"partition {self.record.partition} offset {self.record.offset}"
        what = describe(self.envelope) if self.envelope else "a record"
        return f"{what} ({where}), {self.code}: {self.reason.strip()}"


def any_set_aside(projection: str, generation: int) -> bool:
    """Whether any event of a stream is parked or discarded. Mostly none is, and the two questions
    that follow need not be asked for each batch."""
    ((found,),) = ANY_SET_ASIDE.rows(connections[read_alias()], projection, generation, projection)
    return bool(found)


def waiting_behind(
    projection: str, generation: int, streams: Collection[UUID], retried_ids: Collection[int]
) -> dict[UUID, dict[int, UUID | None]]:
    """The versions of these streams that are parked, with their event ids. Without those
    that are being retried."""
    found: dict[UUID, dict[int, UUID | None]] = {}
    waiting = DeadLetter.objects.filter(
        projection=projection, generation=generation, stream_id__in=streams
    ).exclude(id__in=retried_ids)
    for stream_id, version, event_id in waiting.values_list("stream_id", "version", "event_id"):
        assert stream_id is not None
        assert version is not None
        found.setdefault(stream_id, {})[version] = event_id
    return found


def discarded(projection: str) -> frozenset[UUID]:
    """The events that operators discarded: few, at any time."""
    ids = Discarded.objects.filter(projection=projection).values_list("event_id", flat=True)
    return frozenset(ids)


def is_ready(projection: str) -> Q:
    """Parked events of this projection that only waited, and whose predecessor is applied now.

    Usually they are retried right after their predecessor; if the process dies in between, they
    stay parked.
    """
    registered = PROJECTIONS[projection]
    released = registered.root._default_manager.filter(
        **registered.root_filter,
        generation=OuterRef("generation"),
        stream_id=OuterRef("stream_id"),
        version=OuterRef("version") - 1,
    )
    return Q(Exists(released), code__in=WAITS_FOR_ANOTHER)


def is_given_up(projection: str) -> Q:
    """Parked events that an operator discarded. They are left where the process died between the
    discard and the retry of the stream."""
    given_up = Discarded.objects.filter(projection=projection, event_id=OuterRef("event_id"))
    return Q(Exists(given_up))


def is_head() -> Q:
    """The first dead letter of each stream, and every one that names no stream.

    The code does not tell: versions that come in the wrong order leave a `behind` before a `gap`.
    """
    earlier = DeadLetter.objects.filter(
        projection=OuterRef("projection"),
        generation=OuterRef("generation"),
        stream_id=OuterRef("stream_id"),
        version__lt=OuterRef("version"),
    )
    return Q(~Exists(earlier))


def heads(projection: str, generation: int, at_most: int) -> list[DeadLetter]:
    """As `is_head`, of a generation, the newest streams first. Reads no more than it returns."""
    of = (projection, generation)
    rows = HEADS.rows(connections[read_alias()], *of, *of, at_most, *of)
    found = DeadLetter.objects.in_bulk([one for (one,) in rows])
    parked = DeadLetter.objects.filter(projection=projection, generation=generation)
    nameless = parked.filter(stream_id=None).order_by("-id")[:at_most]
    return [*(found[one] for (one,) in rows if one in found), *nameless]


def record_of(parked: DeadLetter) -> LogRecord:
    key, value = parked.key, parked.value
    return LogRecord(
        parked.partition,
        NOT_IN_LOG if parked.offset is None else parked.offset,
        None if key is None else bytes(key),
        None if value is None else bytes(value),
        signature=None if parked.signature is None else bytes(parked.signature),
    )


def park(projection: str, generation: int, events: Collection[ParkedEvent]) -> None:
    """Store dead letters, once each version of a stream. Needs a transaction."""
    if events:
        DeadLetter.objects.bulk_create(
            [_dead_letter(projection, generation, one) for one in events], ignore_conflicts=True
        )


def still_parked(parked: Collection[DeadLetter]) -> list[DeadLetter]:
    """Those that nobody has applied or deleted meanwhile."""
    ids = DeadLetter.objects.filter(id__in=[one.id for one in parked])
    there = set(ids.values_list("id", flat=True))
    return [one for one in parked if one.id in there]


def settle(
    projection: str, keys: Mapping[int, RecordKey], parked: Mapping[RecordKey, ParkedEvent]
) -> None:
    """After a retry: what failed again gets its new reason, the others are deleted.
    `keys`: of all that were retried, by id."""
    done = set(keys)
    for parked_id, key in keys.items():
        if (again := parked.get(key)) is not None:
            done.remove(parked_id)
            DeadLetter.objects.filter(id=parked_id).update(
                # One that was not believed before named no stream.
                **({} if again.envelope is None else _stream_of(again)),
                code=again.code,
                reason=again.reason,
                tried_by=tried_by(projection, again.code),
                due_at=again.due_at,
            )
    DeadLetter.objects.filter(id__in=done).delete()


def report(projection: str, events: Collection[ParkedEvent]) -> None:
    """Log what was parked, except for what heals by itself."""
    for one in events:
        # A gap often heals: it is reported when it does not (gaps.py).
        if one.code not in (*WAITS_FOR_ANOTHER, *NOT_BELIEVED, WAITS_FOR_CODE):
            log.error("%s: parked %s", projection, one)
    # One line for all: a forger can write a million.
    if strange := [one for one in events if one.code in NOT_BELIEVED]:
        log.error(
            "%s: %d records are not believed. The first: %s", projection, len(strange), strange[0]
        )
    if waiting := [one for one in events if one.code == WAITS_FOR_CODE]:
        log.warning(
            "%s: %d streams wait for newer code: this one does not know the type or version of an "
            "event. Start a consumer with the newer code. The first: %s",
            projection, len(waiting), waiting[0],
        )  # fmt: skip


def tried_by(projection: str, code: str) -> str:
    """What has tried a dead letter of this code: the projection's code, or the ring of keys."""
    if code in OF_THE_RING:
        ring = key_ring()
        return "" if ring is None else ring.digest
    return digest_of(PROJECTIONS[projection])


def _stream_of(parked: ParkedEvent) -> dict[str, Any]:
    if (envelope := parked.envelope) is None:
        return {"stream_id": None, "version": None, "event_id": None}
    return {
        "stream_id": envelope.stream_id,
        "version": envelope.version,
        "event_id": envelope.event_id,
    }


def _dead_letter(projection: str, generation: int, parked: ParkedEvent) -> DeadLetter:
    return DeadLetter(
        projection=projection,
        generation=generation,
        **_stream_of(parked),
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
