"""Read your own writes: wait until the read models have reached a version of a stream."""

import time
from collections.abc import Iterable
from functools import cache
from threading import BoundedSemaphore

from messaging import conf
from messaging.conf import read_alias
from messaging.dialect.changes import Changes
from messaging.exceptions import ReadSideBehind
from messaging.message import Position
from messaging.projections.registry import Projection
from messaging.projections.serving.live import live_version

MAX_WAIT_S = 2.0

_wait_slots = cache(BoundedSemaphore)  # one for each number of slots


def wait_for(projection: Projection, positions: Iterable[Position]) -> None:
    """Return when the projection has applied these versions; of streams of a type that it does not
    take in, none are waited for.

    Uses the connection that the query then reads from, so that a read replica that lags is
    waited for as well. Raises `ReadSideBehind` after 2 s, or at once when
    too many are waiting: an answer is never stale without saying so.
    """
    if not (left := not_reached(projection, positions)):
        return
    slots = _wait_slots(conf.wait_slots())
    if not slots.acquire(blocking=False):
        raise ReadSideBehind("Too many requests wait for the read side. Try again.")
    try:
        changes, deadline = Changes(read_alias()), time.monotonic() + MAX_WAIT_S
        while (rest := deadline - time.monotonic()) > 0:
            changes.wait(rest)
            if not (left := not_reached(projection, left)):
                return
    finally:
        slots.release()
    raise ReadSideBehind(
        f"The read side has not reached version {left[0].version} of {left[0].stream_id} yet."
    )


def not_reached(projection: Projection, positions: Iterable[Position]) -> list[Position]:
    """Those of these versions that the projection is to apply and has not."""
    return [
        one
        for one in positions
        if one.stream_type in projection.stream_types
        and live_version(projection, one.stream_id) < one.version
    ]
