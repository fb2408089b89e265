"""Log lines that repeat for as long as something is away."""

import logging
import time
from threading import Lock

SAY_EVERY_S = 60.0


class Repeats:
    """Logs the same thing at once, and then once a minute, as a warning that says how often it has
    happened. Each time is there at level DEBUG."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = Lock()
        self._said: dict[str, tuple[float, int]] = {}  # what -> when, and how often since

    def say(self, level: int, what: str, more: object) -> None:
        """`what` tells one thing from another; `more` may differ each time."""
        now = time.monotonic()
        with self._lock:
            at, since = self._said.get(what, (now - SAY_EVERY_S, 0))
            is_due = now - at >= SAY_EVERY_S
            self._said[what] = (now, 0) if is_due else (at, since + 1)
            if is_due:
                self._forget(now)
        if not is_due:
            self._log.debug("%s. %s", what, more)
        elif since:
            level = max(level, logging.WARNING)
            self._log.log(level, "%s. %s (%d times since it was last said)", what, more, since)
        else:
            self._log.log(level, "%s. %s", what, more)

    def _forget(self, now: float) -> None:
        """What has not happened again within two minutes."""
        self._said = {
            what: (at, since)
            for what, (at, since) in self._said.items()
            if now - at < 2 * SAY_EVERY_S
        }
