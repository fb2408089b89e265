"""Circuit breaker: when most events fail, stop instead of parking them all. The code is wrong."""

from collections import deque
from uuid import UUID

from messaging.exceptions import TooManyFailures
from messaging.projections.consuming.ordering import Outcome

# When most of so many events, of so many streams, fail, the events are not at fault.
EVENTS, STREAMS = 50, 10


class Breaker:
    """Counts over the last 50 or more events that were tried, however they were batched."""

    def __init__(self) -> None:
        self._batches: deque[tuple[int, list[UUID]]] = deque()  # (tried, streams that failed)
        self._latest: tuple[int, list[UUID]] = (0, [])

    def require_mostly_sound(self, outcome: Outcome) -> None:
        """Raise `TooManyFailures` if most of what was tried lately has failed."""
        failed = [
            parked
            for parked in outcome.parked.values()
            if parked.envelope is not None and parked.code in ("poison", "unreadable")
        ]
        streams = [p.envelope.stream_id for p in failed if p.envelope is not None]
        self._latest = (outcome.applied + len(failed), streams)
        if not failed:
            return
        tried, all_failed = 0, list[UUID]()
        for count, some in [self._latest, *self._batches]:
            tried += count
            all_failed += some
            if tried >= EVENTS:
                break
        if tried >= EVENTS and len(set(all_failed)) >= STREAMS and 2 * len(all_failed) > tried:
            raise TooManyFailures(
                f"{len(all_failed)} of the last {tried} events, of {len(set(all_failed))} streams, "
                "failed: the code is at fault, not the events. This batch was not applied. Correct "
                "the code and start again; `manage.py deadletters retry --all` applies what was "
                f"parked before. The last error:\n{failed[-1].reason}"
            )

    def committed(self) -> None:
        """Count the last batch, which is committed now."""
        self._batches.appendleft(self._latest)
        if len(self._batches) > EVENTS:
            self._batches.pop()
