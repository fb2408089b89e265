"""What the console's start page finds, made by hand."""

from datetime import datetime, timedelta
from typing import Any

from messaging.console.dashboard import Found, ReadSide, WriteSide
from messaging.message import utc_now
from messaging.monitoring.status import ProjectionStatus
from messaging.workers.models import Heartbeat

WRITE = WriteSide(
    last_position=12_345,
    commands_a_second=0.25,
    outbox=0,
    oldest_waiting=None,
    oldest_snapshot_s=None,
    relays=[],
    consumers=[],
    gone=[],
    missing=[],
)
POSTS = ProjectionStatus(
    name="posts",
    generation=2,
    state="live",
    rebuild=None,
    lag=0,
    lag_by_partition={0: 0, 1: 0},
    halted={},
    stalled={},
    dead_letters=0,
    waits_for_newer_code=0,
)


READ = ReadSide(projections=[], last_parked=None, last_failed=None, checkpoints={}, parked_since={})


def worker(process: str = "near 1", **fields: Any) -> Heartbeat:
    now = utc_now()
    given = {"role": "relay", "active": True, "since": now - timedelta(minutes=7), "beat_at": now}
    return Heartbeat(process=process, **(given | fields))


def found(at: datetime | None = None, **parts: Any) -> Found:
    return Found(at=at or utc_now(), **parts)
