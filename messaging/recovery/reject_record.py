"""Declaring one record of the log invalid: the way out after somebody else wrote to the topic."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from messaging import codec
from messaging.bus.base import Bus, LogRecord
from messaging.bus.rejected import digest_of
from messaging.conf import read_alias
from messaging.eventstore import models as eventstore
from messaging.eventstore.scan import events_of
from messaging.exceptions import FencedOff, PostlogError
from messaging.message import Envelope
from messaging.projections import models as projections
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import record_of
from messaging.proof import name_of, records_at


class NotRejected(PostlogError):
    """The record may not be declared invalid; the message says why."""


def found(bus: Bus, partition: int, offset: int, event_id: UUID) -> tuple[LogRecord, Envelope]:
    """The record at this place. Raises `NotRejected` if it holds another event, or one that
    the store has."""
    record = None
    if partition in bus.end_offsets():
        record = records_at(bus, {partition: offset}).get(partition)
    holds = "no record" if record is None else name_of(record)
    if record is None or record.value is None or holds != f"event {event_id}":
        raise NotRejected(
            f"Partition {partition}, offset {offset} holds {holds}, not event {event_id}."
        )
    envelope, data = codec.decode_envelope(record.value)
    said = codec.encode_record(envelope, bytes(data).decode())
    if said in (one.document() for one in events_of([envelope.stream_id])):
        raise NotRejected(f"The event store has event {event_id} just so: it is no forgery.")
    return record, envelope


def reject(record: LogRecord, envelope: Envelope) -> None:
    """Remember the record in both databases, and take it out of the dead letters. If this is
    interrupted, call it again."""
    for model in (eventstore.RejectedRecord, projections.SkippedRecord):
        model.objects.get_or_create(
            partition=record.partition,
            offset=record.offset,
            digest=digest_of(record),
            defaults={"event_id": envelope.event_id},
        )
    parked = projections.DeadLetter.objects.filter(
        Q(event_id=envelope.event_id) | Q(event_id=None),  # that one was not believed
        partition=record.partition,
        offset=record.offset,
    )
    for dead_letter in parked:
        if dead_letter.event_id is None and digest_of(record_of(dead_letter)) != digest_of(record):
            continue  # from the same place of an earlier log
        try:
            with transaction.atomic(using=read_alias()):
                checkpoints.hold(
                    dead_letter.projection, dead_letter.generation, [dead_letter.partition]
                )
                dead_letter.delete()
        except FencedOff:
            continue  # its generation is gone, and the dead letter with it
