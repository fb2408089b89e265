"""A log that loses its tail, as when it is put back to an earlier copy."""

from uuid import UUID, uuid4

from django.db import transaction

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import partition_of
from messaging.bus.models import LogPartition, LogRecord
from messaging.message import Context
from messaging.monitoring.status import current_status


def a_post_in_each_partition(times: int = 1) -> list[UUID]:
    """So that every partition of the log grows by as many records."""
    found: list[UUID] = []
    for partition in range(12):
        for _ in range(times):
            post_id = next(i for i in iter(uuid4, None) if partition_of(str(i), 12) == partition)
            mediator.send(NewPost(post_id=post_id, message="Hello"), Context(actor="alice"))
            found.append(post_id)
    return found


def lose_tail(ends: dict[int, int]) -> None:
    """Put the embedded log back to where it ended at these offsets. The store stays."""
    topic = current_bus().topic  # type: ignore[attr-defined]  # the embedded one
    with transaction.atomic():
        for partition, end in ends.items():
            rows = {"topic": topic, "partition": partition}
            LogRecord.objects.filter(**rows, offset__gte=end).delete()
            LogPartition.objects.filter(**rows).update(next_offset=end)


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0
