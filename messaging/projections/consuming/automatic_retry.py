"""Retries that need no operator: what other code parked is retried once with this code, what only
waited is applied when its turn has come, and what was discarded is passed over."""

import logging
import time
from collections.abc import Collection

from django.db.models import Q
from django.db.models.functions import Now

from messaging.bus.signing import key_ring
from messaging.exceptions import HistoryMismatch
from messaging.projections.consuming import resolving
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
MAX_RETRIED = 100  # dead letters at once, so that new records do not wait for long


def is_untried(projection: Projection) -> Q:
    """Parked by other code, or refused by another ring of keys, and not tried by this one yet."""
    found = Q(code__in=OF_THE_CODE) & ~Q(tried_by=digest_of(projection))
    ring = key_ring()
    if ring is not None:
        other_ring = Q(code__in=OF_THE_RING, signature__isnull=False)
        found |= other_ring & ~Q(tried_by=ring.digest)
    return found


class AutomaticRetry:
    """Of one consumer: when it starts, and then from time to time."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._next_run = 0.0

    def run_if_due(self, generation: int, partitions: Collection[int]) -> None:
        """Retry what is parked in these partitions and this code has not tried yet, and resume
        retries that were interrupted."""
        if time.monotonic() < self._next_run:
            return
        due = Q(code=FROM_THE_FUTURE, due_at__lte=Now())
        found = DeadLetter.objects.filter(
            is_untried(self._projection)
            | due
            | is_ready(self._projection.name)
            | is_given_up(self._projection.name),
            projection=self._projection.name,
            generation=generation,
            partition__in=list(partitions),
        )
        parked = list(found.order_by("id")[:MAX_RETRIED])
        applied = [self._retry(one) for one in resolving.first_of_each_stream(parked)]
        # What waits for a record that named no stream is found the next time.
        if len(parked) < MAX_RETRIED and not any(applied):
            self._next_run = time.monotonic() + EVERY_S

    def run_at_once(self) -> None:
        """Be due at the next call: other partitions were assigned."""
        self._next_run = 0.0

    def _retry(self, parked: DeadLetter) -> bool:
        """Whether it named no stream and is applied."""
        name = self._projection.name
        try:
            result = resolving.retry(parked)
        except HistoryMismatch as error:  # of this stream: it was parked before, and stays so
            log.error("%s: %s", name, error)
            tried = {"tried_by": tried_by(name, parked.code), "due_at": None}
            DeadLetter.objects.filter(id=parked.id).update(**tried)
            return False
        log.info("retried: %s", resolving.describe(parked, result))
        return parked.stream_id is None and result.applied > 0
