"""How far the events have come, and who works on them: what `manage.py status` prints."""

from dataclasses import dataclass, field

from django.db import connections
from django.db.models.functions import Now

from messaging import conf, inline
from messaging.bus import current_bus
from messaging.bus.base import Identity
from messaging.conf import write_alias
from messaging.dialect import dialect_of
from messaging.eventstore.models import Event
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import utc_now
from messaging.projections.consuming import checkpoints
from messaging.projections.consuming.dead_letters import WAITS_FOR_ANOTHER, WAITS_FOR_CODE
from messaging.projections.consuming.gaps import HEALS_WITHIN
from messaging.projections.consuming.stalls import stalled
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState
from messaging.projections.registry import PROJECTIONS, consumed
from messaging.rebuilding import requests
from messaging.relay import outbox
from messaging.workers.heartbeats import alive, missing_workers, owner_role
from messaging.workers.models import Heartbeat

NOT_BUILT = "not built"  # of an inline projection: a rebuild is due, until which nobody writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionStatus:
    name: str
    generation: int  # the live one
    state: str  # halted, stalled, rebuilding or live; of an inline one: inline, or NOT_BUILT
    rebuild: str | None  # the one under way, in a few words
    lag: int | None  # in records; None: the log does not answer; 0 of an inline one
    lag_by_partition: dict[int, int]
    halted: dict[int, str]  # partition -> why
    stalled: dict[int, int | None]  # partition -> for how many seconds; None: since ever
    dead_letters: int
    waits_for_newer_code: int  # streams

    @property
    def inline(self) -> bool:
        """Whether commands write its rows, so that it has no lag."""
        return PROJECTIONS[self.name].inline


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    role: str
    process: str
    at_work: bool  # False: it stands by
    for_s: int
    error: str  # why it cannot work now; empty: it can


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The fields, and their order, are the JSON of `manage.py status --json`."""

    events: int  # stored
    outbox: int  # events that wait for the relay
    log_fault: str  # why the log refuses or does not answer; empty: it does
    hazards: list[str]  # ways in which the log is set up to lose history
    lag: int | None  # of all projections
    dead_letters: int
    projections: list[ProjectionStatus]
    oldest_snapshot_s: float | None
    workers: list[WorkerStatus]


@dataclass(slots=True, kw_only=True)
class _Log:
    ends: dict[int, int] | None = None
    identity: Identity | None = None
    hazards: list[str] = field(default_factory=list)
    fault: str = ""


def current_status() -> Status:
    """Ask both databases and the log. Raises a database error when a database does not answer."""
    # In the order in which events travel: one that is on its way is counted somewhere.
    events, waiting = Event.objects.count(), outbox.waiting()
    log = _ask_the_log()
    projections = [projection_status(name, log.ends, log.identity) for name in PROJECTIONS]
    lags = [one.lag for one in projections if one.lag is not None]
    return Status(
        events=events,
        outbox=waiting,
        log_fault=log.fault,
        hazards=log.hazards,
        lag=sum(lags) if log.ends is not None else None,
        dead_letters=sum(one.dead_letters for one in projections),
        projections=projections,
        oldest_snapshot_s=oldest_snapshot_s(),
        workers=[_worker(one) for role in roles() for one in alive(role)],
    )


def roles() -> list[str]:
    """Of the workers that there are to be."""
    owned = [name for name, one in PROJECTIONS.items() if one.single_owner]
    return ["relay", "consumer", *map(owner_role, owned)]


def _ask_the_log() -> _Log:
    found = _Log()
    bus = current_bus()
    try:
        bus.ensure_topic()
        identity = bus.identity()  # first: it says what the ends would be asked of in vain
        found.ends, found.identity = bus.end_offsets(), identity
        found.hazards = bus.hazards()  # last: not everybody may ask for a topic's settings
    except (BusError, HistoryMismatch) as error:
        found.fault = f"{type(error).__name__}: {error}"
    return found


def _worker(one: Heartbeat) -> WorkerStatus:
    age = (utc_now() - one.since).total_seconds()
    return WorkerStatus(
        role=one.role, process=one.process, at_work=one.active, for_s=round(age), error=one.error
    )


def projection_status(
    name: str, ends: dict[int, int] | None, identity: Identity | None = None
) -> ProjectionStatus:
    """Of one projection. Without the log's ends the lag is unknown. With the log's identity,
    checkpoints of another log are told apart."""
    if PROJECTIONS[name].inline:
        return _inline_status(name)
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
    dead, waiting = _dead_and_waiting(name, generation)
    return ProjectionStatus(
        name=name,
        generation=generation,
        state=_state(halted, stalled_now, rebuild),
        rebuild=requests.describe(rebuild) if rebuild else None,
        lag=sum(lag.values()) if ends is not None else None,
        lag_by_partition=lag,
        halted=halted,
        stalled=stalled_now,
        dead_letters=dead,
        waits_for_newer_code=waiting,
    )


def _inline_status(name: str) -> ProjectionStatus:
    """Of one whose rows commands write: it does not follow the log."""
    found, rebuild = checkpoints.state_of(name), requests.active(name)
    state = "inline" if inline.is_built(PROJECTIONS[name], found) else NOT_BUILT
    return ProjectionStatus(
        name=name,
        generation=found.live_generation,
        state="rebuilding" if rebuild else state,
        rebuild=requests.describe(rebuild) if rebuild else None,
        lag=0,
        lag_by_partition={},
        halted={},
        stalled={},
        dead_letters=0,
        waits_for_newer_code=0,
    )


def workers_to_start() -> list[str]:
    """The commands to start so that what is stored reaches its readers."""
    return missing_workers() if needs_workers() else []


def needs_workers() -> bool:
    """Whether anything depends on the log: a projection that consumers fill, or whoever else reads
    Kafka."""
    return bool(consumed()) or bool(conf.postlog().kafka.bootstrap_servers)


def _dead_and_waiting(name: str, generation: int) -> tuple[int, int]:
    """The dead letters, and the streams that wait for newer code."""
    dead = DeadLetter.objects.filter(projection=name, generation=generation)
    # An event that overtook another is no dead letter yet: mostly the other comes at once.
    dead = dead.exclude(code__in=WAITS_FOR_ANOTHER, parked_at__gt=Now() - HEALS_WITHIN)
    # Nor is what waits for newer code: no hand is needed, a deployment is under way.
    waits = dead.filter(code=WAITS_FOR_CODE).values("stream_id")
    waiting = waits.count()
    if waiting:
        dead = dead.exclude(stream_id__in=waits)
    return dead.count(), waiting


def _state(halted: object, stalled_now: object, rebuild: object) -> str:
    if halted:
        return "halted"
    if stalled_now:
        return "stalled"
    return "rebuilding" if rebuild else "live"


def oldest_snapshot_s() -> float | None:
    """The age in seconds of the oldest snapshot that a PostgreSQL session holds open: while it
    is, the outbox's dead rows stay and make the relay slow. None on SQLite."""
    connection = connections[write_alias()]
    return dialect_of(connection).oldest_snapshot_s(connection)
