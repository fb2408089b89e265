"""Waiting for what others commit, without asking all the time.

A pause is a tenth of the time in which nothing came: so it is short where a reader waits for the
next change, and a quiet system is left in peace. On SQLite, where it costs 5 µs to ask whether
anybody has committed (`Dialect.change_mark`), it is a thirtieth; PostgreSQL has nothing as cheap.

There the first to commit after a silence wakes the relay by NOTIFY, which the long pauses are for.
Others do not: NOTIFY takes a lock by which all commits wait for each other.
docs/decisions/0037-the-way-to-the-reader.md
"""

import time
from collections.abc import Callable
from threading import Event as Flag

from django.db import connections

from messaging.dialect import dialect_of

MIN_PAUSE_S, MAX_PAUSE_S = 0.002, 0.05
GROWTH, GROWTH_IF_CHEAP = 1 + 1 / 10, 1 + 1 / 30  # of a pause
# As long a silence of one writer is worth a NOTIFY. Pauses are up to a tenth of it before.
SILENCE_S = 0.1


class Silence:
    """Tells whether nobody in this process has come for a while."""

    def __init__(self) -> None:
        self._came = float("-inf")

    def ends(self) -> bool:
        before, self._came = self._came, time.monotonic()
        return self._came - before >= SILENCE_S


class Changes:
    """What one thread has seen of the commits to a database. After each look: `came` or `wait`."""

    def __init__(
        self, alias: str, pause: Callable[[float, Flag], bool] = lambda s, stop: stop.wait(s)
    ) -> None:
        """`pause`: waits for so many seconds, or less; whether the flag is set."""
        self._alias = alias
        self._pause = pause
        self._pause_s = MIN_PAUSE_S
        self._mark: int | None = None  # when it looked last

    def came(self) -> None:
        """There was something: the next is waited for with short pauses."""
        self._pause_s = MIN_PAUSE_S

    def wait(self, at_most_s: float, stop: Flag | None = None) -> None:
        """Return when there may be something new, when the time is over, or when `stop` is set."""
        stop = stop or Flag()
        deadline = time.monotonic() + at_most_s
        connection = connections[self._alias]  # asked for each time, it would cost the most
        change_mark = dialect_of(connection).change_mark
        while not self._pause(min(self._pause_s, max(0.0, deadline - time.monotonic())), stop):
            # Before the look: what is committed after it counts as new.
            before, self._mark = self._mark, change_mark(connection)
            growth = GROWTH if self._mark is None else GROWTH_IF_CHEAP
            self._pause_s = min(growth * self._pause_s, MAX_PAUSE_S)
            if self._mark is None or self._mark != before or time.monotonic() >= deadline:
                return
