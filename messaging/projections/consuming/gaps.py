"""Gaps: events whose predecessor has not come. Reported once if they do not close by themselves."""

import logging
from collections.abc import Set
from datetime import timedelta

from django.db.models.functions import Now

from messaging.projections.consuming.dead_letters import any_set_aside
from messaging.projections.models import DeadLetter

log = logging.getLogger("postlog.gaps")

HEALS_WITHIN = timedelta(seconds=10)


def report_gaps(projection: str, generation: int, reported: Set[int]) -> set[int]:
    """Log the gaps that stay open and were not reported before; return the ids of all open ones."""
    if not any_set_aside(projection, generation):
        return set()
    gaps = DeadLetter.objects.filter(
        projection=projection,
        generation=generation,
        code="gap",
        parked_at__lt=Now() - HEALS_WITHIN,
    )
    found = {one.id: one for one in gaps.only("stream_id", "version", "event_id", "reason")}
    for gap_id in found.keys() - reported:
        gap = found[gap_id]
        log.error(
            "%s: version %s of stream %s (event %s) waits. %s",
            projection, gap.version, gap.stream_id, gap.event_id, gap.reason,
        )  # fmt: skip
    return set(found)
