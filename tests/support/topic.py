"""What the log says, compared with what the store says."""

from collections import Counter
from uuid import UUID

from messaging import codec
from messaging.bus import current_bus
from messaging.eventstore.models import Event


def assert_the_log_tells_the_store() -> int:
    """Every stored event is in the log, nothing else is, and the first arrivals of each
    stream are in the order of versions. Returns how many records were repeats."""
    bus = current_bus()
    seen: dict[UUID, int] = {}
    ids: Counter[UUID] = Counter()
    for partition, end in bus.end_offsets().items():
        for records in bus.read(partition, 0, end):
            for record in records:
                assert record.value is not None
                envelope, _ = codec.decode_envelope(record.value)
                ids[envelope.event_id] += 1
                last = seen.get(envelope.stream_id, 0)
                assert envelope.version <= last + 1, "a version came before its predecessor"
                seen[envelope.stream_id] = max(last, envelope.version)
    stored = set(Event.objects.values_list("event_id", flat=True))
    assert stored - ids.keys() == set(), "committed, but never published"
    assert ids.keys() - stored == set(), "published, but never committed"
    return ids.total() - len(ids)
