"""How things stand: what `manage.py status` prints and an operator wants to know first."""

from typing import Any

from django.db import connections
from django.db.models.functions import Now

from messaging.bus import current_bus
from messaging.bus.base import Identity
from messaging.eventstore.models import Event
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import utc_now
from messaging.models import Heartbeat
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import WAITS_FOR_ANOTHER, WAITS_FOR_CODE
from messaging.projections.consuming.gaps import HEALS_WITHIN
from messaging.projections.consuming.stalls import stalled
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding import requests
from messaging.relay import outbox
from messaging.workers.heartbeats import alive


def overview() -> dict[str, Any]:
    """`events`, `outbox`, `lag` and `dead_letters` in events; `projections` one by one.

    When the log refuses or does not answer, `log_fault` says why and the lag is None. Raises a
    database error when a database cannot be asked.
    """
    # In the order in which events travel: one that is on its way is counted somewhere.
    events, waiting = Event.objects.count(), outbox.waiting()
    log = _log_now()
    projections = [projection_now(name, log["ends"], log["identity"]) for name in PROJECTIONS]
    return {
        "events": events,
        "outbox": waiting,
        "log_fault": log["fault"],
        "hazards": log["hazards"],
        "lag": sum(one["lag"] for one in projections) if log["ends"] is not None else None,
        "dead_letters": sum(one["dead_letters"] for one in projections),
        "projections": projections,
        "oldest_snapshot_s": oldest_snapshot_s(),
        "workers": [_worker(one) for role in ("relay", "consumer") for one in alive(role)],
    }


def _log_now() -> dict[str, Any]:
    found: dict[str, Any] = {"ends": None, "identity": None, "hazards": [], "fault": ""}
    bus = current_bus()
    try:
        bus.ensure_topic()
        identity = bus.identity()  # first: it says what the ends would be asked of in vain
        found["ends"], found["identity"] = bus.end_offsets(), identity
        found["hazards"] = bus.hazards()  # last: not everybody may ask for a topic's settings
    except (BusError, HistoryMismatch) as error:
        found["fault"] = f"{type(error).__name__}: {error}"
    return found


def _worker(one: Heartbeat) -> dict[str, Any]:
    age = (utc_now() - one.since).total_seconds()
    return {
        "role": one.role,
        "process": one.process,
        "at_work": one.at_work,
        "for_s": round(age),
        "error": one.error,
    }


def projection_now(
    name: str, ends: dict[int, int] | None, identity: Identity | None = None
) -> dict[str, Any]:
    """Of one projection. Without the log's ends the lag is unknown: it is None. With the
    log's identity, checkpoints of another log are told apart."""
    # In one statement: a switch deletes the checkpoints of the generation that it replaces.
    live = ProjectionState.objects.filter(name=name).values("live_generation")
    rows = Checkpoint.objects.filter(projection=name, generation__in=live).annotate(now=Now())
    taken = {row.partition: row for row in rows}
    found = {row.generation for row in taken.values()}
    generation = found.pop() if found else checkpoints.live_generation(name)
    # A checkpoint beyond the end must not make up for what another partition lacks.
    lag = {
        p: max(0, end - (taken[p].offset if p in taken else 0))
        for p, end in sorted((ends or {}).items())
    }
    halted = {row.partition: row.halted for row in taken.values() if row.halted}
    if identity is not None:
        others = [p for p, row in taken.items() if row.identity != str(identity)]
        halted |= dict.fromkeys(others, "The checkpoint is of another log.")
        lag |= {p: ends[p] for p in others if ends and p in ends}
    ages = {p: (row.now - row.checked_at).total_seconds() for p, row in taken.items()}
    stalled_now = stalled(lag, ages, halted)
    rebuild = requests.active(name)
    return {
        "name": name,
        "generation": generation,
        "state": _state(halted, stalled_now, rebuild),
        "rebuild": requests.told(rebuild) if rebuild else None,
        "lag": sum(lag.values()) if ends is not None else None,
        "lag_by_partition": lag,
        "halted": halted,
        "stalled": stalled_now,
        **_letters(name, generation),
    }


def _letters(name: str, generation: int) -> dict[str, int]:
    dead = DeadLetter.objects.filter(projection=name, generation=generation)
    # An event that overtook another is no dead letter yet: mostly the other comes at once.
    dead = dead.exclude(code__in=WAITS_FOR_ANOTHER, parked_at__gt=Now() - HEALS_WITHIN)
    # Nor is what waits for newer code: no hand is needed, a deployment is under way.
    waits = dead.filter(code=WAITS_FOR_CODE).values("stream_id")
    waiting = waits.count()
    if waiting:
        dead = dead.exclude(stream_id__in=waits)
    return {"dead_letters": dead.count(), "waits_for_newer_code": waiting}  # the latter in streams


def _state(halted: object, stalled_now: object, rebuild: object) -> str:
    if halted:
        return "halted"
    if stalled_now:
        return "stalled"
    return "rebuilding" if rebuild else "live"


def oldest_snapshot_s() -> float | None:
    """The age in seconds of the oldest snapshot that a PostgreSQL session holds open: while
    it is, the outbox's dead rows stay and make the relay slow. None on SQLite."""
    connection = connections["default"]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(EXTRACT(EPOCH FROM max(now() - xact_start)), 0) FROM pg_stat_activity "
            "WHERE backend_xmin IS NOT NULL AND datname = current_database()"
        )
        return round(float(cursor.fetchone()[0]), 3)
