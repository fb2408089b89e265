"""Folding stored events: rebuilds from the store, `verify` and the testing kit do it alike."""

from collections.abc import Collection, Iterable
from uuid import UUID

from messaging.codec import RecordedEvent
from messaging.exceptions import PostlogError
from messaging.projections.rows import RowBatch


class NotNext(PostlogError):
    """An event is not the next of its stream: its predecessor was parked, or is missing."""


def fold(
    row_batch: RowBatch, events: Iterable[RecordedEvent], discarded: Collection[UUID] = ()
) -> None:
    """Apply events of whole streams, or of streams that `row_batch` has loaded, in order.

    `discarded`: ids of the events that operators discarded. Raises what the projection's functions
    raise."""
    for recorded in events:
        envelope = recorded.envelope
        root = row_batch.root(envelope.stream_id)
        if envelope.version != (0 if root is None else root.version) + 1:
            raise NotNext(f"version {envelope.version} of stream {envelope.stream_id}")
        if envelope.event_id in discarded:
            row_batch.skip(envelope)
        else:
            row_batch.apply(recorded)
