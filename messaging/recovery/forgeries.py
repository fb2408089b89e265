"""Records of the log that no relay with these keys wrote."""

from collections.abc import Iterator
from itertools import groupby

from messaging.eventstore.scan import events_of
from messaging.recovery.log_index import LogIndex, digest_of


def unknown_keys(index: LogIndex) -> Iterator[str]:
    """Describe what cannot be verified, because the key that signed it is not there."""
    for (partition, key_id), (count, first) in sorted(index.unknown_keys.items()):
        yield (
            f"partition {partition}: {count:,} records from offset {first} on are signed with key "
            f'{key_id}, which POSTLOG["RECORD_KEYS"] lacks here. If it is yours, add it behind the '
            "others"
        )


def forgeries(index: LogIndex) -> Iterator[str]:
    """Describe the forged records that contradict the store. The others date from before records
    were signed, or are copies of genuine ones: nobody applies them."""
    for stream_id, group in groupby(index.forgeries(), key=lambda one: one.stream_id):
        stored = {
            (one.envelope.version, digest_of(one.document())) for one in events_of([stream_id])
        }
        for one in group:
            if (one.version, one.digest) not in stored:
                yield (
                    f"partition {one.partition} offset {one.offset}: a forged record, which nobody "
                    f"applies, says version {one.version} of stream {stream_id} is event "
                    f"{one.event_id}: find out who wrote it, and run `manage.py reject-record "
                    f"{one.partition} {one.offset} {one.event_id}` to hear no more of it"
                )
