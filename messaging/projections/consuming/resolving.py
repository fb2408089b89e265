"""Resolving dead letters: retry or discard. Shell, admin and `AutomaticRetry` call this."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from messaging.conf import read_alias
from messaging.exceptions import PostlogError
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import WAITS_FOR_ANOTHER, is_ready
from messaging.projections.consuming.transaction import (
    RetryResult,
    retry_batch,
    retry_stream,
    retry_unblocked,
)
from messaging.projections.models import DeadLetter, Discarded
from messaging.projections.registry import PROJECTIONS


class NotDiscarded(PostlogError):
    """The dead letter may not be given up; the message says what to do instead."""


def in_order(projection: str | None = None) -> QuerySet[DeadLetter]:
    """All dead letters, or a projection's, stream by stream and by version."""
    parked = DeadLetter.objects.order_by("projection", "stream_id", "version")
    return parked if projection is None else parked.filter(projection=projection)


def first_of_each_stream(dead_letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """The first dead letter of each stream, and every one that names no stream."""
    found: dict[tuple[object, ...], DeadLetter] = {}
    for parked in dead_letters:
        stream = parked.stream_id or parked.id
        found.setdefault((parked.projection, parked.generation, stream), parked)
    return list(found.values())


def retry(parked: DeadLetter) -> RetryResult:
    """Apply the dead letter's whole stream in order, until an event fails again. Raises as
    `retry_stream` does."""
    projection = PROJECTIONS[parked.projection]
    if parked.stream_id is not None:
        return retry_stream(projection, parked.generation, parked.stream_id)
    outcome = retry_batch(projection, parked.generation, [parked])
    retry_unblocked(projection, parked.generation, outcome)
    return RetryResult(outcome.retried, len(outcome.parked))


def discard(parked: DeadLetter) -> RetryResult | None:
    """Give the event up: the stream continues behind it, here and in every later generation.
    Returns what became of the events behind it.

    Raises `NotDiscarded` if it is not the one that its stream waits for. A record that
    names no stream is only deleted; a rebuild from the log would park it again.
    """
    if parked.stream_id is None or parked.version is None or parked.event_id is None:
        parked.delete()
        return None
    with transaction.atomic(using=read_alias()):
        checkpoints.hold(parked.projection, parked.generation, [parked.partition])
        _require_that_the_stream_waits_for(parked)
        Discarded.objects.get_or_create(
            projection=parked.projection,
            event_id=parked.event_id,
            defaults={"stream_id": parked.stream_id, "version": parked.version},
        )
    retried = retry_stream(PROJECTIONS[parked.projection], parked.generation, parked.stream_id)
    # It counts as done there, and was not applied.
    return RetryResult(max(0, retried.applied - 1), retried.parked)


def _require_that_the_stream_waits_for(parked: DeadLetter) -> None:
    waiting = DeadLetter.objects.filter(
        projection=parked.projection, generation=parked.generation, stream_id=parked.stream_id
    ).order_by("version")
    first = waiting.first()
    if first is None or not waiting.filter(id=parked.id).exists():
        raise NotDiscarded(f"Dead letter {parked.id} has taken effect meanwhile.")
    if first.id != parked.id:
        raise NotDiscarded(
            f"Dead letter {parked.id} only waits behind {first.id}, which is version "
            f"{first.version} of the same stream. Cure or discard that one."
        )
    if waiting.filter(is_ready(parked.projection), id=first.id).exists():
        raise NotDiscarded(
            f"Dead letter {parked.id} is sound, and what it waited for has taken effect. Run "
            f"`manage.py deadletters retry {parked.id}`, or leave it to a running consumer."
        )
    if first.code in WAITS_FOR_ANOTHER:
        raise NotDiscarded(
            f"Dead letter {parked.id} is sound: it waits for an earlier version of its "
            f"stream, which has not come. Run `manage.py republish {parked.stream_id}`."
        )


def describe(parked: DeadLetter, result: RetryResult) -> str:
    """How a retry went, in one line."""
    what = f"stream {parked.stream_id}" if parked.stream_id else f"record {parked.id}"
    waits = f", {result.parked} still wait" if result.parked else ""
    return f"{parked.projection} {what}: {result.applied} applied{waits}"
