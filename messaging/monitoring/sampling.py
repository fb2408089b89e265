"""Takes the samples: a part of each worker, so that there are some for as long as any is alive."""

import logging
import random
from datetime import UTC, datetime, timedelta
from textwrap import shorten
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError

from messaging.bus import current_bus
from messaging.bus.base import Identity
from messaging.eventstore.models import Event, Outbox
from messaging.exceptions import BusError, HistoryMismatch
from messaging.monitoring import samples
from messaging.monitoring.figures import MAX_ERROR, MAX_ERRORS, Figures, ProjectionFigures, decode
from messaging.monitoring.models import Sample
from messaging.monitoring.status import ProjectionStatus, projection_status, roles
from messaging.monitoring.tallies import counter
from messaging.projections.registry import PROJECTIONS
from messaging.relay import outbox
from messaging.signals import applied
from messaging.transient import drop_connections, is_away, reason
from messaging.workers.heartbeats import alive
from messaging.workers.repeats import Repeats

log = logging.getLogger("postlog.samples")


class Sampler:
    """Of several in several processes the first takes the sample of each 10 s; the others look, and
    take it when the first has ended."""

    def __init__(self) -> None:
        self._phase_s = random.uniform(0.5, samples.FINE_S / 2)  # workers out of step
        self._repeats = Repeats(log)

    def run(self, stop: Flag) -> None:
        """Sample until `stop` is set. Whatever fails is logged, and harms nothing else."""
        applied.connect(counter.applied)
        pause_s = self._phase_s
        while not stop.wait(pause_s):
            pause_s = self.try_once()

    def try_once(self) -> float:
        """Take a sample, or log why not; return the seconds until the next is due."""
        try:
            counter.flush()
            now = samples.database_time()
            take(now)
            # By the database's clock each time: nothing drifts, and a leap counts once.
            return samples.FINE_S - (now.timestamp() - self._phase_s) % samples.FINE_S + 0.01
        except Exception as error:
            drop_connections()
            level = logging.DEBUG if is_away(error) else logging.ERROR  # the others report it
            self._repeats.say(level, f"no sample: {reason(error)}", type(error).__name__)
            return samples.FINE_S


def take(now: datetime) -> bool:
    """Measure and store, unless somebody has; return whether it was this one."""
    return not samples.is_taken(now) and samples.keep(now, measure(now))


def measure(now: datetime) -> Figures:
    """Ask both databases and the log. Raises when the write database does not answer."""
    # In the order in which events travel: one that is on its way is counted somewhere.
    position = Event.objects.order_by("-position").values_list("position", flat=True).first()
    waiting = outbox.waiting()
    errors: list[str] = []
    ends, identity = _ask_the_log(errors)
    published = None if ends is None else sum(ends.values())
    projections = _projections(now, ends, identity, errors)
    working = {role: alive(role) for role in roles()}
    errors += [
        f"{one.role} {one.process} could not work: {one.error}"
        for one in (*working["consumer"], *working["relay"])
        if one.error
    ]
    return Figures(
        taken_s=now.timestamp(),
        position=position or 0,
        outbox=waiting,
        outbox_age_s=_outbox_age_s(now) if waiting else 0.0,
        published=published,
        projections=projections,
        workers={role: len(each) for role, each in working.items()},
        leader=next((one.process for one in working["relay"] if one.active), ""),
        errors=tuple(shorten(one, MAX_ERROR) for one in errors[:MAX_ERRORS]),
    )


def _ask_the_log(errors: list[str]) -> tuple[dict[int, int] | None, Identity | None]:
    try:
        identity = current_bus().identity()
        return current_bus().end_offsets(), identity
    except (BusError, HistoryMismatch) as error:
        errors.append(f"the log did not answer: {error}")
        return None, None


def _outbox_age_s(now: datetime) -> float:
    oldest = Outbox.objects.order_by("position").values("position")[:1]
    at = Event.objects.filter(position__in=oldest).values_list("recorded_at", flat=True).first()
    return _age_s(at, now) if at else 0.0


def _projections(
    now: datetime, ends: dict[int, int] | None, identity: Identity | None, errors: list[str]
) -> dict[str, ProjectionFigures]:
    try:
        found = [projection_status(name, ends, identity) for name in PROJECTIONS]
    except (DatabaseError, InterfaceError) as error:  # what it knows is away with it
        errors.append(f"the read database did not answer: {reason(error)}")
        drop_connections()
        return {}
    published = None if ends is None else sum(ends.values())
    return {one.name: _projection(one, published, now) for one in found}


def _projection(one: ProjectionStatus, published: int | None, now: datetime) -> ProjectionFigures:
    applied = None
    if published is not None and one.lag is not None and not one.inline:
        applied = published - one.lag
    return ProjectionFigures(
        lag=one.lag,
        lag_s=behind_s(applied, published, now) if one.lag else 0.0,
        applied=applied,
        dead_letters=one.dead_letters,
        halted=tuple(sorted(one.halted)),
    )


def behind_s(applied: int | None, published: int | None, now: datetime) -> float:
    """For how long the oldest record that is not applied has been in the log: since when, by the
    samples, the log has had more records than are applied now."""
    if applied is None or published is None:
        return 0.0
    for step_s in (samples.FINE_S, samples.COARSE_S):
        rows = Sample.objects.filter(step_s=step_s, at__lte=now)
        level = rows.filter(published__lte=applied).order_by("-at").first()
        if level is not None:
            beyond = rows.filter(at__gt=level.at, published__gt=applied).order_by("at").first()
            then, since = level.published or 0, _taken(level)
            more, until = (beyond.published, _taken(beyond)) if beyond else (published, now)
            # When the record behind the last applied one came, which is the first to wait.
            share = min(1.0, (applied + 1 - then) / max(1, (more or 0) - then))
            return _age_s(since + (until - since) * share, now)
    # Since before there were samples.
    oldest = Sample.objects.filter(at__lte=now).order_by("at").first()
    return _age_s(_taken(oldest), now) if oldest else 0.0


def _taken(sample: Sample) -> datetime:
    return datetime.fromtimestamp(decode(sample.figures).taken_s, UTC)


def _age_s(at: datetime, now: datetime) -> float:
    return max(timedelta(), now - at).total_seconds()
