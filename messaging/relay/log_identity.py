"""Checks that the log is the one this store has published to, and that both say the same."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from django.db import connections

from messaging import codec, plausible
from messaging.bus.base import Bus, Identity, LogRecord
from messaging.bus.rejected import without
from messaging.bus.signing import FORGED, UNKNOWN_KEY, Fault, key_ring
from messaging.conf import write_alias
from messaging.dialect import dialect_of
from messaging.dialect.values import as_uuid, db_uuid
from messaging.eventstore.models import Acknowledged, LogIdentity, RejectedRecord
from messaging.eventstore.repository import REPOSITORIES
from messaging.exceptions import DecodeError, HistoryMismatch, LostTail
from messaging.message import Envelope
from messaging.proof import Proof, require_proofs, undisturbed
from messaging.relay import outbox

log = logging.getLogger("postlog.relay")

# The last records of a partition that are compared. The very last would not do: an event
# can be published before another that was committed earlier.
TAIL = 100
AT_ONCE = 400  # records that are looked up in one query
# VALUES name their columns column1, column2, ... on PostgreSQL and SQLite alike.
STORED = """
SELECT e.stream_id, e.version, e.event_id
FROM (VALUES {marks}) AS v
JOIN messaging_event e ON e.stream_id = v.column1 AND e.version = v.column2
"""


Check = Callable[[], None]  # called now and then; raises to end what calls it


class Contradiction(NamedTuple):
    """A record that contradicts the store."""

    text: str
    fault: str  # of its signature; empty: the record is ours, and the store is behind


def require_same_log(identity: Identity) -> LogIdentity:
    """Remember the log the first time; raise `HistoryMismatch` if a later one differs. Returns what
    is remembered."""
    log, _ = LogIdentity.objects.get_or_create(id=1, defaults={"identity": str(identity)})
    _require_same(log.identity, identity)
    return log


def require_no_other_log(identity: Identity) -> None:
    """Raise `HistoryMismatch` if the store has published to another log."""
    known = LogIdentity.objects.values_list("identity", flat=True).first()
    if known is not None:
        _require_same(known, identity)


def _require_same(known: str, identity: Identity) -> None:
    if known != str(identity):
        raise HistoryMismatch(
            f"The log is not the one that this store has published to: that was {known}, "
            f"this is {identity} (cluster, topic id, partitions). The topic was deleted and "
            "recreated, or this is another cluster. Nothing is published. If the new log is right, "
            "run `manage.py republish --all --accept-new-log` and then `manage.py rebuild --from "
            "store`."
        )


def require_acknowledged(bus: Bus) -> None:
    """Raise `LostTail` unless each partition still holds the last record that it acknowledged:
    otherwise the log was put back to an earlier copy."""
    rows = Acknowledged.objects.all()
    proofs = {row.partition: Proof(row.offset, f"event {row.event_id}") for row in rows}
    require_proofs(bus, proofs, "this store published")


def note_compared(bus: Bus, last: Mapping[int, tuple[int, UUID]]) -> None:
    """Take these records, an offset and an event of each partition, for acknowledged: the store
    has all up to them, and a relay that starts need not compare that once more.

    Nothing is noted if the log has lost its tail, so that the relay says so.
    """
    with suppress(LostTail):
        undisturbed(bus, require_acknowledged)
        outbox.acknowledge({p: (offset, str(event_id)) for p, (offset, event_id) in last.items()})


def require_same_history(bus: Bus, check_cancelled: Check = lambda: None) -> dict[int, int]:
    """Raise `HistoryMismatch` unless the log holds what it acknowledged, and all after that, and
    at least the last records of each partition, stand in the store. Returns up to where that is so.

    They do not stand there after the store was put back to an earlier copy of itself: publishing
    would then begin a second history beside the one that consumers know. There may be many
    records; `check_cancelled` is called every few hundred of them, and may raise.
    """
    # The ends first: of a log that is put back meanwhile, the higher ones.
    firsts, ends = bus.begin_offsets(), bus.end_offsets()
    require_acknowledged(bus)
    known = dict(Acknowledged.objects.values_list("partition", "offset"))
    ranges = {}
    for partition, end in ends.items():
        after = known.get(partition, end) + 1
        ranges[partition] = (max(firsts[partition], min(after, end - TAIL)), end)
    passed_over: dict[str, tuple[int, str]] = {}  # by kind: a forger can write a million
    for contradiction in contradictions(bus, ranges, check_cancelled):
        if not contradiction.fault:
            raise HistoryMismatch(contradiction.text)
        count, first = passed_over.get(contradiction.fault, (0, contradiction.text))
        passed_over[contradiction.fault] = count + 1, first
    for count, first in passed_over.values():
        log.error("%d records are passed over. The first: %s", count, first)
    return ends


def contradictions(
    bus: Bus, ranges: Mapping[int, tuple[int, int]], check_cancelled: Check = lambda: None
) -> Iterator[Contradiction]:
    """Yield one for each record in these ranges of the log that is an event of one of this
    store's stream types and is not in the store. Records that cannot be read, cannot be or are of
    other types are ignored; consumers park or skip them."""
    rejected, ring = RejectedRecord.all_of_them(), key_ring()
    for records in bus.read_ranges(ranges, batch=AT_ONCE):
        events = [pair for one in without(records, rejected) if (pair := _event(one)) is not None]
        stored = _stored([envelope for _, envelope in events])
        for record, envelope in events:
            event_id = stored.get((envelope.stream_id, envelope.version))
            if event_id != envelope.event_id:
                fault = None if ring is None else ring.fault_of(record)
                yield _contradiction(record, envelope, event_id, fault)
        check_cancelled()


def _event(record: LogRecord) -> tuple[LogRecord, Envelope] | None:
    try:
        envelope, data = codec.decode_envelope(record.value or b"")
    except DecodeError:
        return None
    if plausible.fault_of_document(envelope, data):
        return None
    if REPOSITORIES and envelope.stream_type not in REPOSITORIES:
        return None
    return record, envelope


def _stored(envelopes: Sequence[Envelope]) -> dict[tuple[UUID, int], UUID]:
    """The ids of the events that the store has at these streams' versions."""
    if not envelopes:
        return {}
    connection = connections[write_alias()]
    mark = f"({dialect_of(connection).uuid_mark}, %s)"
    sql = STORED.format(marks=", ".join([mark] * len(envelopes)))
    values = [(db_uuid(connection, one.stream_id), one.version) for one in envelopes]
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for pair in values for value in pair])
        rows = cursor.fetchall()
    return {(as_uuid(stream), version): as_uuid(event) for stream, version, event in rows}


def _contradiction(
    record: LogRecord, envelope: Envelope, stored: UUID | None, fault: Fault | None
) -> Contradiction:
    if fault is not None and fault.code == FORGED:
        return Contradiction(
            f"A forged record at partition {record.partition}, offset {record.offset} claims to be "
            f"version {envelope.version} of stream {envelope.stream_id} (event "
            f"{envelope.event_id}). {fault.reason} Nobody applies it. Find out who else may write "
            "to the topic.",
            fault=FORGED,
        )
    what = "does not have it" if stored is None else f"has event {stored} there"
    if fault is not None:
        return Contradiction(
            f"A record at partition {record.partition}, offset {record.offset} claims to be "
            f"version {envelope.version} of stream {envelope.stream_id} (event "
            f"{envelope.event_id}), and the store {what}. {fault.reason} If this machine was put "
            'back to an earlier copy, stop it at once, set POSTLOG["RECORD_KEYS"] as it was last, '
            "and run `manage.py restore-events`.",
            fault=UNKNOWN_KEY,
        )
    return Contradiction(
        f"The store is behind the topic: partition {record.partition}, offset {record.offset} "
        f"holds version {envelope.version} of stream {envelope.stream_id} (event "
        f"{envelope.event_id}), and the store {what}. If it was put back to an earlier "
        "copy, or a failover lost commits, stop sending commands and run `manage.py "
        "restore-events`. If no relay of yours wrote that record, declare it invalid: `manage.py "
        "reject-record "
        f"{record.partition} {record.offset} {envelope.event_id}`.",
        fault="",
    )
