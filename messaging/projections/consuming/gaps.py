"""Gaps: events whose predecessor has not come. Reported when they do not heal by themselves."""

import logging
import time
from datetime import timedelta

from django.db.models.functions import Now

from messaging.projections.models import DeadLetter

log = logging.getLogger("postlog.gaps")

HEALS_WITHIN = timedelta(seconds=10)
LOOK_EVERY_S = 2.0


class GapReport:
    """Says once of each gap that it has stayed open."""

    def __init__(self, projection: str) -> None:
        self._projection = projection
        self._reported: set[int] = set()
        self._looked = 0.0

    def report(self, generation: int) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        open_gaps = DeadLetter.objects.filter(
            projection=self._projection,
            generation=generation,
            code="gap",
            parked_at__lt=Now() - HEALS_WITHIN,
        )
        found = {
            letter.id: letter
            for letter in open_gaps.only("stream_id", "version", "event_id", "reason")
        }
        for new in found.keys() - self._reported:
            letter = found[new]
            log.error(
                "%s: version %s of stream %s (event %s) waits. %s",
                self._projection, letter.version, letter.stream_id, letter.event_id, letter.reason,
            )  # fmt: skip
        self._reported = set(found)
