"""How far the events have come from command to reader, for the console's start page.

Each part is asked by itself, so that one that is down is named and the others are shown. What of
it needs a look, and in which words, is decided in `path` and `problems`.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock

from django.db import DatabaseError, InterfaceError
from django.db.models import Min

from messaging.bus import current_bus
from messaging.bus.base import Bus, Identity
from messaging.eventstore.models import Event, Outbox
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import utc_now
from messaging.monitoring import samples
from messaging.monitoring.samples import Point
from messaging.monitoring.status import (
    ProjectionStatus,
    oldest_snapshot_s,
    projection_status,
    workers_to_start,
)
from messaging.projections.consuming.dead_letters import WAITS_FOR_CODE
from messaging.projections.models import Checkpoint, DeadLetter, Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.relay import outbox
from messaging.workers.heartbeats import alive, gone
from messaging.workers.models import Heartbeat

FRESH_S = 1.5
HAZARDS_FRESH_S = 60
TREND_S, MIN_TREND_S = 15.0, 1.0  # between the two looks that are compared
TREND_LOOKS = 32
LATELY, LATELY_POINTS = timedelta(hours=1), 181  # of 20 s, to tell when it was over
RATE_WINDOW = timedelta(seconds=10)
MAX_COUNTED = 5_000  # events of the window


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSide:
    last_position: int
    commands_a_second: float
    outbox: int
    oldest_waiting: datetime | None  # when the event was recorded that has waited longest
    oldest_snapshot_s: float | None
    relays: list[Heartbeat]
    consumers: list[Heartbeat]
    gone: list[Heartbeat]  # dead or stopped for less than an hour, the last beat first
    missing: list[str]  # the commands to start


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    ends: dict[int, int]
    identity: Identity
    hazards: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSide:
    projections: list[ProjectionStatus]
    last_parked: DeadLetter | None
    last_failed: Rebuild | None
    checkpoints: dict[tuple[str, int, int], Checkpoint]  # by projection, generation, partition
    parked_since: dict[str, datetime]  # by projection: when its oldest dead letter was parked

    def checkpoint(self, projection: ProjectionStatus, partition: int) -> Checkpoint | None:
        """Of the live generation."""
        return self.checkpoints.get((projection.name, projection.generation, partition))

    def moved_at(self, projection: ProjectionStatus, partition: int) -> datetime | None:
        """When it moved last, or was level with the log."""
        found = self.checkpoint(projection, partition)
        return None if found is None else found.checked_at

    def last_move(self) -> datetime | None:
        """Of any projection on any partition."""
        return max((one.checked_at for one in self.checkpoints.values()), default=None)


@dataclass(slots=True, kw_only=True)
class Found:
    """A part that does not answer is None, and named in `faults`."""

    at: datetime
    write: WriteSide | None = None
    log: LogState | None = None
    read: ReadSide | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)  # part, why
    down_since: dict[str, datetime] = field(default_factory=dict)  # part -> seen first by whom asks
    trends: dict[str, float] = field(default_factory=dict)  # of the lag, in records a second
    lately: list[Point] = field(default_factory=list)  # the samples of the last hour

    @contextmanager
    def asking(self, part: str) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, InterfaceError, BusError, HistoryMismatch) as error:
            self.faults.append((part, f"{type(error).__name__}: {error}"))


class Dashboard:
    """Asks once for all who watch; meanwhile they see what was found last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = -FRESH_S
        self._last: Found | None = None
        self._sampled = float(-samples.FINE_S)
        self._lags: deque[tuple[float, dict[str, int]]] = deque(maxlen=TREND_LOOKS)

    def current(self) -> Found:
        first = self._last is None
        if time.monotonic() - self._asked >= FRESH_S and self._lock.acquire(blocking=first):
            try:
                if time.monotonic() - self._asked >= FRESH_S:
                    self._last = self._compared(refresh())
                    self._asked = time.monotonic()
            finally:
                self._lock.release()
        assert self._last is not None
        return self._last

    def _compared(self, found: Found) -> Found:
        """With what only several looks tell."""
        before = self._last.down_since if self._last else {}
        found.down_since = {part: before.get(part, found.at) for part, _ in found.faults}
        now = time.monotonic()
        if found.write is not None and now - self._sampled >= samples.FINE_S:
            with found.asking("write database"):
                found.lately, self._sampled = samples.series(LATELY, LATELY_POINTS), now
        elif self._last:
            found.lately = self._last.lately
        lags = {one.name: one.lag for one in found.read.projections} if found.read else {}
        self._lags.append((now, {name: lag for name, lag in lags.items() if lag is not None}))
        then, old = next(one for one in self._lags if now - one[0] <= TREND_S)
        if now - then >= MIN_TREND_S:
            current = self._lags[-1][1]
            found.trends = {
                name: (lag - old[name]) / (now - then) for name, lag in current.items()
                if name in old
            }  # fmt: skip
        return found


def refresh() -> Found:
    """Ask both databases and the log. Raises nothing."""
    found = Found(at=utc_now())
    with found.asking("write database"):
        found.write = write_side()
    with found.asking("log"):
        found.log = log_state()
    with found.asking("read database"):
        found.read = read_side(found.log)
    return found


def write_side() -> WriteSide:
    newest = Event.objects.order_by("-position")
    last = newest.values_list("position", flat=True).first() or 0
    since = utc_now() - RATE_WINDOW
    lately = newest.filter(position__gt=last - MAX_COUNTED, recorded_at__gt=since)
    commands = lately.values("command_id").distinct().count()
    oldest = Event.objects.filter(
        position__in=Outbox.objects.order_by("position").values("position")[:1]
    ).first()
    return WriteSide(
        last_position=last,
        commands_a_second=commands / RATE_WINDOW.total_seconds(),
        outbox=outbox.waiting(),
        oldest_waiting=None if oldest is None else oldest.recorded_at,
        oldest_snapshot_s=oldest_snapshot_s(),
        relays=alive("relay"),
        consumers=alive("consumer"),
        gone=gone("relay", "consumer"),
        missing=workers_to_start(),
    )


def log_state() -> LogState:
    bus, minute = current_bus(), int(time.monotonic() // HAZARDS_FRESH_S)
    return LogState(ends=bus.end_offsets(), identity=bus.identity(), hazards=_hazards(bus, minute))


@lru_cache(maxsize=1)
def _hazards(bus: Bus, minute: int) -> list[str]:
    return bus.hazards()


def read_side(log: LogState | None) -> ReadSide:
    ends, identity = (None, None) if log is None else (log.ends, log.identity)
    parked = DeadLetter.objects.exclude(code__in=("behind", WAITS_FOR_CODE)).order_by("-id")
    failed = Rebuild.objects.filter(state=Rebuild.State.FAILED).order_by("-id")
    return ReadSide(
        projections=[projection_status(name, ends, identity) for name in PROJECTIONS],
        last_parked=parked.first(),
        last_failed=failed.first(),
        checkpoints={
            (one.projection, one.generation, one.partition): one
            for one in Checkpoint.objects.defer("proof", "identity")
        },
        parked_since=dict(
            parked.order_by().values_list("projection").annotate(since=Min("parked_at"))
        ),
    )
