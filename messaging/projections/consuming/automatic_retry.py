"""Letters that need no operator: what other code parked is tried once with this code, what only
waited is applied when its turn has come, and what was given up goes."""

import logging
import time
from collections.abc import Collection

from django.db.models import Q
from django.db.models.functions import Now

from messaging.bus.signing import key_ring
from messaging.exceptions import HistoryMismatch
from messaging.projections.consuming import retry
from messaging.projections.consuming.code_digest import digest_of
from messaging.projections.consuming.dead_letters import (
    FROM_THE_FUTURE,
    OF_THE_CODE,
    OF_THE_RING,
    is_given_up,
    is_ready,
    tried_by,
)
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Projection

log = logging.getLogger("postlog.retrying")

# During a deployment, consumers with older code still park events, and then hand over.
EVERY_S = 30.0
AT_ONCE = 100  # letters, so that new records do not wait for long


class AutomaticRetry:
    """Of one consumer. Looks when it starts, and then from time to time."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._next_look = 0.0

    def look(self, generation: int, partitions: Collection[int]) -> None:
        """Try the letters of these partitions that this code has not tried yet, and end what was
        interrupted."""
        if time.monotonic() < self._next_look:
            return
        code = digest_of(self._projection)
        untried = Q(code__in=OF_THE_CODE) & ~Q(tried_by=code)
        ring = key_ring()
        if ring is not None:
            other_ring = Q(code__in=OF_THE_RING, signature__isnull=False)
            untried |= other_ring & ~Q(tried_by=ring.digest)
        due = Q(code=FROM_THE_FUTURE, due_at__lte=Now())
        found = DeadLetter.objects.filter(
            untried | due | is_ready(self._projection.name) | is_given_up(self._projection.name),
            projection=self._projection.name,
            generation=generation,
            partition__in=list(partitions),
        )
        letters = list(found.order_by("id")[:AT_ONCE])
        applied = [self._retry(letter) for letter in retry.first_of_each_stream(letters)]
        # What waits for a record that named no stream is found at the next look.
        if len(letters) < AT_ONCE and not any(applied):
            self._next_look = time.monotonic() + EVERY_S

    def assigned(self) -> None:
        """Other partitions: their letters are tried at the next look."""
        self._next_look = 0.0

    def _retry(self, letter: DeadLetter) -> bool:
        """Whether it named no stream and is applied."""
        name = self._projection.name
        try:
            retried = retry.retry(letter)
        except HistoryMismatch as error:  # of this stream: it was parked before, and stays so
            log.error("%s: %s", name, error)
            tried = {"tried_by": tried_by(name, letter.code), "due_at": None}
            DeadLetter.objects.filter(id=letter.id).update(**tried)
            return False
        log.info("retried: %s", retry.describe(letter, retried))
        return letter.stream_id is None and retried.applied > 0
