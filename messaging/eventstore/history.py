"""Is the log the one that this store has published to, and does it say what the store says?"""

from messaging import codec
from messaging.bus.base import Bus, Identity
from messaging.bus.proof import Proof, require_proofs
from messaging.eventstore.models import Acknowledged, Event, LogIdentity
from messaging.exceptions import Loss, Unreadable
from messaging.message import Envelope

# The last records of a partition that are compared. The very last would not do: an event
# can be published before another that was committed earlier.
TAIL = 100


def require_same_log(identity: Identity) -> None:
    """Remember the log at the first time; raise `Loss` if it is another one later."""
    LogIdentity.objects.get_or_create(id=1, defaults={"identity": str(identity)})
    require_no_other_log(identity)


def require_no_other_log(identity: Identity) -> None:
    """Raise `Loss` if the store has published to another log."""
    known = LogIdentity.objects.values_list("identity", flat=True).first()
    if known not in (None, str(identity)):
        raise Loss(
            f"The log is not the one that this store has published to: that was {known}, "
            f"this is {identity} (cluster, topic id, partitions). The topic was deleted and made "
            "anew, or this is another cluster. Nothing is published. If the new log is right, run "
            "`manage.py republish --all --accept-new-log` and then `manage.py rebuild --from "
            "store`."
        )


def require_same_history(bus: Bus, *, tail: int = 0) -> None:
    """Raise `Loss` unless each partition still holds the last record that it acknowledged, and
    all after that, and at least the last `tail` ones, stand in the store.

    They do not after the store was put back to an earlier copy of itself: publishing
    would then begin a second history beside the one that consumers know. The acknowledged
    record is missing after the log was put back.
    """
    known = {row.partition: row for row in Acknowledged.objects.all()}
    proofs = {p: Proof(row.offset, f"event {row.event_id}") for p, row in known.items()}
    require_proofs(bus, proofs, "this store published")
    firsts, ends = bus.begin_offsets(), bus.end_offsets()
    ranges = {}
    for partition, end in ends.items():
        after = known[partition].offset + 1 if partition in known else end - TAIL
        ranges[partition] = (max(firsts[partition], min(after, end - tail)), end)
    for records in bus.read_ranges(ranges):
        for record in records:
            if record.value is not None:
                _require_stored(record.partition, record.offset, record.value)


def _require_stored(partition: int, offset: int, value: bytes) -> None:
    try:
        envelope, _ = codec.decode_envelope(value)
    except Unreadable:
        return  # nothing of ours; consumers park it
    stored = (
        Event.objects.filter(stream_id=envelope.stream_id, version=envelope.version)
        .values_list("event_id", flat=True)
        .first()
    )
    if stored != envelope.event_id:
        raise Loss(_behind(partition, offset, envelope, stored is not None))


def _behind(partition: int, offset: int, envelope: Envelope, other: bool) -> str:
    what = "has another event there" if other else "does not have it"
    return (
        f"The store is behind the topic: partition {partition}, offset {offset} holds version "
        f"{envelope.version} of stream {envelope.stream_id} (event {envelope.event_id}), and the "
        f"store {what}. It was put back to an earlier copy, or a failover lost commits. Nothing is "
        "published. Stop sending commands and run `manage.py restore-events`."
    )
