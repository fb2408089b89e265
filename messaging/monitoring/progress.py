"""Saying how far something is, on a plain stream."""

import time
from collections.abc import Callable

EVERY_S = 5.0


class Reports:
    """Writes a line every few seconds, however often it is called."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._begun = self._last = time.monotonic()

    def tell(self, count: int, what: str) -> None:
        if time.monotonic() - self._last > EVERY_S:
            self._last = time.monotonic()
            rate = count / (self._last - self._begun)
            self._write(f"{count:,} {what} so far ({rate:,.0f}/s).")
