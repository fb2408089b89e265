"""Bounds how many threads of a process wait for the lock of one stream.

A process that is frozen while it holds the lock makes every command on that stream wait for
`lock_timeout`. Without a bound, one hot post takes all threads of a web server, and with them
its pages and its health checks.
"""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Condition

from messaging.exceptions import StreamBusy

STUCK_AFTER_S = 0.5  # a lock that is held by somebody alive comes within milliseconds


class Crowd:
    """Hands out `places` for each key. Whoever finds none waits for as long as the line moves."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._entered: dict[Hashable, list[float]] = {}  # key -> since when, oldest first
        self._moved = Condition()
        self._queue = 0

    @contextmanager
    def place(self, key: Hashable) -> Iterator[None]:
        """Raises `StreamBusy` if all places are taken and the oldest is stuck."""
        with self._moved:
            while len(self._entered.get(key, ())) >= self._places:
                self._wait(key)
            now = time.monotonic()
            self._entered.setdefault(key, []).append(now)
        try:
            yield
        finally:
            with self._moved:
                self._entered[key].remove(now)
                if not self._entered[key]:
                    del self._entered[key]
                if self._queue:
                    self._moved.notify_all()

    def _wait(self, key: Hashable) -> None:
        left = self._entered[key][0] + STUCK_AFTER_S - time.monotonic()
        if left <= 0:
            raise StreamBusy("Too many commands wait for this one thing. Try again.")
        self._queue += 1
        self._moved.wait(left)
        self._queue -= 1
