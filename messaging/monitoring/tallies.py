"""What one process counts: answers of a web process, and how long events took to be applied.

No process' memory is the truth: every 10 s it writes what it has counted into a row, if anything,
and the next sample takes the rows of all processes in. Until then it is three numbers and some
buckets, however much happens.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread

import msgspec
from django.db import connections
from django.http import HttpRequest, HttpResponse

from messaging.message import Envelope, utc_now
from messaging.monitoring.models import Tally
from messaging.projections.registry import Projection

FLUSH_EVERY_S = 10.0
NO_REFUSALS = (401, 404)  # a browser without a session, a crawler
MAX_TALLIES = 10_000  # rows that one sample takes in
# Delays fall into buckets, each a fifth wider than the one before: the first ends at 1 ms.
FIRST_S, GROWTH, BUCKETS = 0.001, 1.2, 120
MAX_MEASURED = 32  # events of a batch

View = Callable[[HttpRequest], HttpResponse]

log = logging.getLogger("postlog.samples")


class Counts(msgspec.Struct, omit_defaults=True):
    refused: int = 0
    failed: int = 0
    delays: dict[str, dict[int, int]] = {}  # projection -> bucket -> events

    def add(self, other: "Counts") -> None:
        self.refused += other.refused
        self.failed += other.failed
        for projection, buckets in other.delays.items():
            mine = self.delays.setdefault(projection, {})
            for bucket, count in buckets.items():
                mine[bucket] = mine.get(bucket, 0) + count

    def quantile_s(self, projection: str, share: float) -> float | None:
        """In which time so much of what a projection has applied was applied; None: nothing was."""
        buckets = self.delays.get(projection, {})
        left = share * sum(buckets.values())
        for bucket in sorted(buckets):
            left -= buckets[bucket]
            if left <= 0:
                return float(FIRST_S * GROWTH ** (bucket - 0.5))  # the middle of the bucket
        return None


class Counter:
    """Of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = Counts()
        self._thread: Thread | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._flush_for_ever, name="tallies", daemon=True)
        self._thread.start()

    def answered(self, status: int) -> None:
        failed = status >= 500
        with self._lock:
            self._counts.failed += failed
            self._counts.refused += not failed
            if self._thread is not None and not self._thread.is_alive():  # it is of before a fork
                self.start()

    def applied(self, sender: Projection, events: Sequence[Envelope], **_: object) -> None:
        """Receive `applied`: measure some of the events, each for its neighbours as well."""
        now, every = utc_now(), math.ceil(len(events) / MAX_MEASURED)
        buckets: dict[int, int] = {}
        for event in events[::every]:
            bucket = bucket_of((now - event.recorded_at).total_seconds())
            buckets[bucket] = buckets.get(bucket, 0) + every
        with self._lock:
            self._counts.add(Counts(delays={sender.name: buckets}))

    def flush(self) -> None:
        """Write down what has been counted since. Raises a database error, and then keeps it."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
        if counts == Counts():
            return
        try:
            Tally.objects.create(counts=msgspec.json.encode(counts).decode())
        except Exception:
            with self._lock:
                self._counts.add(counts)
            raise

    def _flush_for_ever(self) -> None:
        while True:
            time.sleep(FLUSH_EVERY_S)
            try:
                self.flush()
            except Exception as error:
                log.debug("not written down: %s", error)  # whoever needs the database says so
            connections.close_all()


counter = Counter()


def start_counting() -> None:
    """Write down, every 10 s from now on, what `count_answers` counts in this process: for the
    module that a web server loads (wsgi.py). Tests and commands need no such thread."""
    counter.start()


def count_answers(get_response: View) -> View:
    """Middleware, early: counts what a web process refuses (4xx) and fails to do (5xx)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        if answer.status_code >= 400 and answer.status_code not in NO_REFUSALS:
            counter.answered(answer.status_code)
        return answer

    return middleware


def bucket_of(seconds: float) -> int:
    if seconds <= FIRST_S:  # or the clocks of two hosts differ
        return 0
    return min(BUCKETS, math.ceil(math.log(seconds / FIRST_S, GROWTH)))


def take_all() -> Counts:
    """Take in what all processes have written down. Needs a transaction, whose end deletes it."""
    rows = Tally.objects.select_for_update().order_by("id").values_list("id", "counts")
    found, total = list(rows[:MAX_TALLIES]), Counts()
    for _, text in found:
        total.add(msgspec.json.decode(text, type=Counts))
    Tally.objects.filter(id__in=[one for one, _ in found]).delete()
    return total
