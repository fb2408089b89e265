"""What operators do with dead letters: retry or discard. Shell and admin call this."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from messaging.exceptions import PostlogError
from messaging.projections.bulk_sql import DATABASE
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import WAITS_FOR_ANOTHER, is_ready
from messaging.projections.consuming.transaction import (
    Retried,
    retry_letters,
    retry_stream,
    retry_unblocked,
)
from messaging.projections.models import DeadLetter, Discarded
from messaging.projections.registry import PROJECTIONS


class NotDiscarded(PostlogError):
    """The letter may not be given up; the message says what to do instead."""


def in_order(projection: str | None = None) -> QuerySet[DeadLetter]:
    """All dead letters, or a projection's, stream by stream and by version."""
    letters = DeadLetter.objects.order_by("projection", "stream_id", "version")
    return letters if projection is None else letters.filter(projection=projection)


def first_of_each_stream(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """The first letter of each stream, and every one that names no stream."""
    found: dict[tuple[object, ...], DeadLetter] = {}
    for letter in letters:
        stream = letter.stream_id or letter.id
        found.setdefault((letter.projection, letter.generation, stream), letter)
    return list(found.values())


def retry(letter: DeadLetter) -> Retried:
    """Apply the letter's whole stream in order, until something fails again. Raises as
    `retry_stream` does."""
    projection = PROJECTIONS[letter.projection]
    if letter.stream_id is not None:
        return retry_stream(projection, letter.generation, letter.stream_id)
    outcome = retry_letters(projection, letter.generation, [letter])
    retry_unblocked(projection, letter.generation, outcome)
    return Retried(outcome.retried, len(outcome.parked))


def discard(letter: DeadLetter) -> Retried | None:
    """Give the event up: the stream continues behind it, here and in every later generation.

    Raises `NotDiscarded` if it is not the one that its stream waits for. A record that
    names no stream is only deleted; a rebuild from the log would park it again.
    """
    if letter.stream_id is None or letter.version is None or letter.event_id is None:
        letter.delete()
        return None
    with transaction.atomic(using=DATABASE):
        checkpoints.hold(letter.projection, letter.generation, [letter.partition])
        _require_that_the_stream_waits_for(letter)
        Discarded.objects.get_or_create(
            projection=letter.projection,
            event_id=letter.event_id,
            defaults={"stream_id": letter.stream_id, "version": letter.version},
        )
    return retry_stream(PROJECTIONS[letter.projection], letter.generation, letter.stream_id)


def _require_that_the_stream_waits_for(letter: DeadLetter) -> None:
    queue = DeadLetter.objects.filter(
        projection=letter.projection, generation=letter.generation, stream_id=letter.stream_id
    ).order_by("version")
    first = queue.first()
    if first is None or not queue.filter(id=letter.id).exists():
        raise NotDiscarded(f"Dead letter {letter.id} has taken effect meanwhile.")
    if first.id != letter.id:
        raise NotDiscarded(
            f"Dead letter {letter.id} only waits behind {first.id}, which is version "
            f"{first.version} of the same stream. Cure or discard that one."
        )
    if queue.filter(is_ready(letter.projection), id=first.id).exists():
        raise NotDiscarded(
            f"Dead letter {letter.id} is sound, and what it waited for has taken effect. Run "
            f"`manage.py deadletters retry {letter.id}`, or leave it to a running consumer."
        )
    if first.code in WAITS_FOR_ANOTHER:
        raise NotDiscarded(
            f"Dead letter {letter.id} is sound: it waits for an earlier version of its stream, "
            f"which has not come. Run `manage.py republish {letter.stream_id}`."
        )


def describe(letter: DeadLetter, retried: Retried) -> str:
    """How a retry went, in one line."""
    what = f"stream {letter.stream_id}" if letter.stream_id else f"record {letter.id}"
    waits = f", {retried.parked} still wait" if retried.parked else ""
    return f"{letter.projection} {what}: {retried.applied} applied{waits}"
