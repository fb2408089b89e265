"""How the path from command to reader stands now, for the console's start page.

Every part is asked by itself, so that one that is down is named and the others are shown.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from typing import Any

from django.db import DatabaseError, InterfaceError

from messaging.bus import current_bus
from messaging.bus.hazards import RecentHazards
from messaging.eventstore.models import Event, Outbox
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import utc_now
from messaging.monitoring.status import oldest_snapshot_s, projection_status
from messaging.projections.consuming.dead_letters import WAITS_FOR_CODE
from messaging.projections.models import DeadLetter, Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.relay import outbox
from messaging.workers.heartbeats import alive, missing

FRESH_S = 1.5
_hazards = RecentHazards()
RATE_WINDOW = timedelta(seconds=10)
MAX_COUNTED = 5_000  # events of the window


class Standing:
    """One look at a time, shared by all who watch; while one is taken the last is shown."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken = -FRESH_S
        self._last: dict[str, Any] = {}

    def now(self) -> dict[str, Any]:
        first = not self._last
        if time.monotonic() - self._taken >= FRESH_S and self._lock.acquire(blocking=first):
            try:
                if time.monotonic() - self._taken >= FRESH_S:
                    self._last = look()
                    self._taken = time.monotonic()
            finally:
                self._lock.release()
        return self._last


def look() -> dict[str, Any]:
    """What the template of the console shows. Raises nothing."""
    found: dict[str, Any] = {"at": utc_now(), "faults": [], "projections": [], "ends": None}
    parts: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "write database": write_side,
        "log": the_log,
        "read database": read_side,
    }
    for name, ask in parts.items():
        try:
            found |= ask(found)
        except (DatabaseError, InterfaceError, BusError, HistoryMismatch) as error:
            found["faults"].append((name, f"{type(error).__name__}: {error}"))
    return found


def write_side(found: dict[str, Any]) -> dict[str, Any]:
    newest = Event.objects.order_by("-position")
    last = newest.values_list("position", flat=True).first() or 0
    since = utc_now() - RATE_WINDOW
    lately = newest.filter(position__gt=last - MAX_COUNTED, recorded_at__gt=since)
    commands = lately.values("command_id").distinct().count()
    oldest = Event.objects.filter(
        position__in=Outbox.objects.order_by("position").values("position")[:1]
    ).first()
    return {
        "last_position": last,
        "commands_a_second": commands / RATE_WINDOW.total_seconds(),
        "outbox": outbox.waiting(),
        "oldest_waiting": oldest and oldest.recorded_at,
        "oldest_snapshot_s": oldest_snapshot_s(),
        "relays": alive("relay"),
        "consumers": alive("consumer"),
        "missing": missing(),
    }


def the_log(found: dict[str, Any]) -> dict[str, Any]:
    bus = current_bus()
    ends = bus.end_offsets()
    return {
        "ends": ends,
        "records": sum(ends.values()),
        "identity": bus.identity(),
        "hazards": _hazards.of(bus),
    }


def read_side(found: dict[str, Any]) -> dict[str, Any]:
    letter = DeadLetter.objects.exclude(code__in=("behind", WAITS_FOR_CODE)).order_by("-id").first()
    return {
        "projections": [
            projection_status(name, found["ends"], found.get("identity")) for name in PROJECTIONS
        ],
        "dead_letters": DeadLetter.objects.count(),
        "last_letter": letter,
        "last_failed": Rebuild.objects.filter(state=Rebuild.State.FAILED).order_by("-id").first(),
    }
