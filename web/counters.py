"""How often somebody did something in a window of time, for limits.

Memory is fixed, so that nobody can push out the counter of another: a kind of counter has
ROWS x CELLS cells, each (kind, who) belongs to one cell of every row, and its count is the least
of its cells (a count-min sketch). Sharing cells makes a limit a little stricter, never laxer.
With CACHE_URL all processes count together; while that server is away, each by itself.
See docs/decisions/0027-counters-and-limits.md.
"""

import logging
import time
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings

from messaging import Repeats

if TYPE_CHECKING:
    from redis import Redis

ROWS, CELLS = 2, 2**14
MAX_ANSWER_S = 1.0  # of the server: one that hangs must not hold every request
ASK_AGAIN_S = 5.0  # after it was away

log = logging.getLogger("postlog.counters")


class Window(NamedTuple):
    kind: str
    seconds: int

    def now(self) -> tuple[int, int]:
        """Which window is under way, and in how many seconds it ends."""
        turn, used_s = divmod(int(time.time()), self.seconds)
        return turn, self.seconds - used_s


class Count(NamedTuple):
    number: int
    reset_s: int  # when it begins at 0 again
    turn: int  # which window it is of


def add(window: Window, who: str, delta: int = 1) -> Count:
    """Add to the count in one step, and return what it is then."""
    turn, reset_s = window.now()
    cells = list(_cells(window.kind, who))
    return Count(max(0, _store().add(window, turn, cells, delta)), reset_s, turn)


def look(window: Window, who: str) -> Count:
    """The count as it is."""
    return add(window, who, 0)


def take_back(window: Window, who: str, added: Count) -> None:
    """Undo an `add`. In a later window it would be taken from what others have added there."""
    _store().add(window, added.turn, list(_cells(window.kind, who)), -1)


def _cells(kind: str, who: str) -> Iterable[int]:
    """One cell of each row. Keyed, so that nobody can choose a name that shares another's."""
    text = f"{kind}\0{who}".encode(errors="surrogatepass")
    key = blake2b(settings.SECRET_KEY.encode()).digest()
    digest = blake2b(text, key=key, digest_size=4 * ROWS).digest()
    for row in range(ROWS):
        yield row * CELLS + int.from_bytes(digest[4 * row : 4 * row + 4]) % CELLS


class Local:
    """The counts of this process. Those of a window that has ended go all at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._windows: dict[str, tuple[int, dict[int, int]]] = {}

    def add(self, window: Window, turn: int, cells: list[int], delta: int) -> int:
        with self._lock:
            current, counts = self._windows.get(window.kind, (turn, {}))
            if current != turn:
                if delta < 0:
                    return 0  # of a window that has ended
                counts = {}
            self._windows[window.kind] = turn, counts
            for cell in cells:
                counts[cell] = counts.get(cell, 0) + delta
            return min(counts[cell] for cell in cells)


class Shared:
    """The counts of all processes, in Redis; of this one while Redis is away."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._ask_again = 0.0
        self._repeats = Repeats(log)

    def add(self, window: Window, turn: int, cells: list[int], delta: int) -> int:
        from redis.exceptions import RedisError  # takes long, and most run without it

        if time.monotonic() < self._ask_again:
            return self._local.add(window, turn, cells, delta)
        try:
            return self._add(window, turn, cells, delta)
        except (RedisError, OSError) as error:
            self._ask_again = time.monotonic() + ASK_AGAIN_S
            what = "CACHE_URL cannot be asked, so this process counts by itself"
            self._repeats.say(logging.WARNING, what, error)
            return self._local.add(window, turn, cells, delta)

    def _add(self, window: Window, turn: int, cells: list[int], delta: int) -> int:
        """In one round trip, and one step: two at once do not both see the other half done."""
        with client(settings.COUNTERS).pipeline(transaction=True) as pipeline:
            for cell in cells:
                key = f"postlog:{window.kind}:{turn}:{cell}"
                pipeline.incrby(key, delta)
                pipeline.expire(key, 2 * window.seconds)
            numbers: list[int] = pipeline.execute()[::2]
        return min(numbers)


_making = Lock()


def client(url: str) -> "Redis":
    """Return the one client of this process. If threads made one each at the first requests, those
    that are kept by nobody would be closed while their connections are in use."""
    with _making:
        return _client(url)


@cache
def _client(url: str) -> "Redis":
    """Connections are made when they are needed, and kept."""
    from redis import Redis  # takes long, and most run without it
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        url,
        socket_connect_timeout=MAX_ANSWER_S,
        socket_timeout=MAX_ANSWER_S,
        retry=Retry(NoBackoff(), 0),
    )


_local = Local()
_shared = Shared(_local)


def _store() -> Local | Shared:
    return _shared if settings.COUNTERS else _local
