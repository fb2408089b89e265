"""Limit how many threads of a process wait for the lock of one stream.

A process that is frozen while it holds the lock makes every command on that stream wait for
`lock_timeout`. Without a limit, one hot stream takes all threads of a web server, and with them
its pages and its health checks.
docs/decisions/0014-how-long-anybody-waits-for-a-frozen-process.md
"""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Condition

from messaging.exceptions import StreamBusy

STUCK_AFTER_S = 0.5  # a holder that is alive releases its lock within milliseconds


class WaitSlots:
    """Hands out `count` slots per key. Without a free one, a thread waits while others move."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._entered: dict[Hashable, list[float]] = {}  # key -> since when, oldest first
        self._moved = Condition()
        self._queue = 0

    @contextmanager
    def take(self, key: Hashable) -> Iterator[None]:
        """Hold a slot. Raises `StreamBusy` if all are taken and the oldest is stuck."""
        with self._moved:
            while len(self._entered.get(key, ())) >= self._count:
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
            raise StreamBusy("Too many commands are waiting for the same stream. Try again.")
        self._queue += 1
        self._moved.wait(left)
        self._queue -= 1
