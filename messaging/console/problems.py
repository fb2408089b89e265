"""What is wrong now, the worst first: what readers see of it, since when, whose last beat, and what
to type. An empty list is "All well"."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from textwrap import shorten
from typing import NamedTuple

from messaging.console import advice
from messaging.console.advice import Advice
from messaging.console.dashboard import Found, ReadSide, WriteSide
from messaging.console.troubles import FAILED, Over, last_trouble, troubles
from messaging.monitoring import levels
from messaging.monitoring.levels import AMBER, RED, WELL
from messaging.monitoring.samples import Point
from messaging.monitoring.status import NOT_BUILT, ProjectionStatus
from messaging.templatetags.figures import age, clock, thousands
from messaging.workers.models import Heartbeat

NOTHING_NEW = "Readers see nothing newer"
MAX_NAMED = 3
WORDS = {WELL: "All well", AMBER: "Look soon", RED: "Act now"}


class Problem(NamedTuple):
    level: str
    readers: str  # what readers, or writers, see of it
    cause: str
    advice: Advice
    since: datetime | None = None
    beat: str = ""  # whose was the last, and when
    command: str = ""  # to type

    @property
    def key(self) -> str:
        """The same at each look, so that what is unfolded stays so."""
        return f"advice-{advice.ALL.index(self.advice)}"


class Verdict(NamedTuple):
    """The line on top."""

    level: str
    word: str
    title: str  # of the page
    problems: list[Problem]
    beat: str  # whose was the last, where all is well
    over: Over | None = None  # the last trouble, where all is well


def verdict_on(found: Found) -> Verdict:
    each = problems(found)
    if not each:
        over = last_trouble(found.lately)
        return Verdict(WELL, WORDS[WELL], WORDS[WELL], [], _beats(found.write), over)
    word = WORDS[each[0].level]
    more = f" (+{len(each) - 1})" if each[1:] else ""
    cause = shorten(each[0].cause.rstrip("."), 80, placeholder="\N{HORIZONTAL ELLIPSIS}")
    return Verdict(each[0].level, word, f"{word}: {cause}{more}", each, "")


def _beats(write: WriteSide | None) -> str:
    """ "near 1 (relay) 1 s ago, near 2 (consumer) 2 s ago" """
    if write is None:
        return ""
    leads = next((one for one in write.relays if one.active), None)
    last = max(write.consumers, key=lambda one: one.beat_at, default=None)
    return ", ".join(
        f"{one.process} ({role}) {age(one.beat_at)} ago"
        for role, one in (("relay", leads), ("consumer", last))
        if one
    )


def problems(found: Found) -> list[Problem]:
    # Workers first: one that was never started has not made the topic either.
    each = [*(_workers(found.write) if found.write else ()), *_down(found)]
    if found.write is not None:
        each += _write_side(found, found.write)
    if found.read is not None:
        each += _read_side(found, found.read)
    if not each:  # else it is what follows from one of them
        each += _answers(found.lately)
    each += [
        Problem(AMBER, "Readers see no difference yet", hazard, advice.HAZARD)
        for hazard in (found.log.hazards if found.log else [])
    ]
    return sorted(each, key=lambda one: one.level != RED)


def _down(found: Found) -> Iterator[Problem]:
    """Parts that do not answer."""
    for part, why in found.faults:
        readers = {
            "write database": "Commands are refused; readers see what is there",
            "read database": "Readers get no answer; commands are taken and stored",
        }.get(part, NOTHING_NEW)
        what = advice.DATABASE
        if part == "log":
            what = advice.OTHER_LOG if why.startswith("HistoryMismatch") else advice.LOG
        cause = f"The {part} does not answer. {why.rstrip('.')}."
        yield Problem(
            RED, readers, cause, what, found.down_since.get(part), command="manage.py status"
        )


def _workers(write: WriteSide) -> Iterator[Problem]:
    for command in write.missing:
        role = "relay" if command.endswith("runrelay") else "consumer"
        cause = "No relay leads." if role == "relay" else "No consumer is alive."
        if role == "consumer" and not any(one.active for one in write.relays):
            cause = "No consumer is alive, and no relay leads."
        last = next((one for one in write.gone if one.role == role), None)
        what = advice.NO_RELAY if role == "relay" else advice.WORKERS
        beat = f"{beat_of(last)} ({role})" if last else "none within the last hour"
        yield Problem(
            RED, NOTHING_NEW, cause, what, None if last is None else ended(last), beat, command
        )


def _write_side(found: Found, write: WriteSide) -> Iterator[Problem]:
    if not write.missing and write.oldest_waiting is not None:
        age = (found.at - write.oldest_waiting).total_seconds()
        if level := levels.of_outbox(age):
            cause = f"{thousands(write.outbox)} events wait in the outbox."
            yield Problem(level, NOTHING_NEW, cause, advice.NO_RELAY, write.oldest_waiting,
                          command="manage.py status")  # fmt: skip
    for one in write.consumers:
        if one.error:
            error = one.error.rstrip(".")
            cause = f"Consumer {one.process} cannot write, and tries again: {error}."
            beat = f"{one.process}, {clock(one.beat_at)}"
            since = found.read.last_move() if found.read else None
            yield Problem(RED, NOTHING_NEW, cause, advice.REFUSED, since, beat, "manage.py status")
    if (write.oldest_snapshot_s or 0) > levels.SNAPSHOT_AMBER_S:
        since = found.at - timedelta(seconds=write.oldest_snapshot_s or 0)
        cause = f"A database snapshot is {write.oldest_snapshot_s:.0f} s old."
        yield Problem(AMBER, "Readers may soon see changes late", cause, advice.SNAPSHOT, since)


def _answers(lately: Sequence[Point]) -> Iterator[Problem]:
    """Of the newest sample."""
    failed = lately[-1].failed_per_min if lately else None
    if failed is not None and failed > levels.FAILED_AMBER:
        since = [one.since for one in troubles(lately) if one.kind == FAILED and not one.is_over]
        cause = f"{failed:,.0f} requests a minute are answered with 5xx."
        yield Problem(AMBER, "Some requests fail", cause, advice.FAILING, min(since))


def _read_side(found: Found, read: ReadSide) -> Iterator[Problem]:
    # Where nobody works at all, or no consumer can write, that is the one thing to say.
    alive = found.write.consumers if found.write else []
    nobody = found.write is not None and "manage.py runconsumer" in found.write.missing
    if not nobody and not (alive and all(one.error for one in alive)):
        if stalled := [one for one in read.projections if one.stalled]:
            yield _stalled(found, stalled)
        late = {one.name: one.lag or 0 for one in read.projections if levels.of_lag(one.lag or 0)}
        if late:
            lag_s = max(_seconds_behind(found, name) for name in late)
            readers = f"Readers of {names(late)} see changes late"
            cause = f"{thousands(max(late.values()))} records are not applied yet."
            level = levels.of_lag(max(late.values()))
            since = found.at - timedelta(seconds=lag_s) if lag_s else None
            yield Problem(level, readers, cause, advice.LAG, since,
                          command="manage.py runconsumer")  # fmt: skip
    for one in read.projections:
        yield from _halted(read, one)
        if one.state == NOT_BUILT:
            cause = f"{one.name} is not built: nobody writes its rows, which lack events."
            yield Problem(RED, f"Readers of {one.name} see nothing newer", cause,
                          advice.NOT_BUILT, command=f"manage.py rebuild {one.name}")  # fmt: skip
    yield from _parked(read)


def _seconds_behind(found: Found, projection: str) -> float:
    """By the newest sample."""
    projections = found.lately[-1].figures.projections if found.lately else {}
    return projections[projection].lag_s if projection in projections else 0.0


def _halted(read: ReadSide, one: ProjectionStatus) -> Iterator[Problem]:
    by_reason: dict[str, list[int]] = {}
    for partition, why in one.halted.items():
        by_reason.setdefault(why, []).append(partition)
    for why, partitions in by_reason.items():
        readers = f"Readers see nothing newer of {one.name}, {named(partitions)}"
        moved = [at for p in partitions if (at := read.moved_at(one, p))]
        what = advice.OTHER_LOG if "another log" in why else advice.HALTED
        verb = "is" if len(partitions) == 1 else "are"
        cause = f"{named(partitions).capitalize()} {verb} halted: {why}"
        yield Problem(
            RED, readers, cause, what, max(moved, default=None), command="manage.py verify"
        )


def _stalled(found: Found, each: list[ProjectionStatus]) -> Problem:
    places = {(one.name, partition) for one in each for partition in one.stalled}
    seconds = [s for one in each for s in one.stalled.values() if s is not None]
    since = found.at - timedelta(seconds=max(seconds)) if seconds else None
    had = next((one for one in (found.write.gone if found.write else ())
                if places & {(name, p) for name, has in one.partitions.items() for p in has}),
               None)  # fmt: skip
    what = f"{names(one.name for one in each)}, {named({partition for _, partition in places})}"
    cause = f"No consumer {'takes' if seconds else 'has ever taken'} the records of {what}."
    beat = f"{beat_of(had)}, which had them" if had else ""
    return Problem(RED, f"Readers see nothing newer of {what}", cause, advice.STALLED, since, beat,
                   "manage.py runconsumer")  # fmt: skip


def _parked(read: ReadSide) -> Iterator[Problem]:
    if dead := [one for one in read.projections if one.dead_letters]:
        each = ", ".join(f"{thousands(one.dead_letters)} of {one.name}" for one in dead)
        since = min((at for one in dead if (at := read.parked_since.get(one.name))), default=None)
        yield Problem(
            AMBER, "Readers see no change of some streams", f"Dead letters: {each}.",
            advice.DEAD_LETTERS, since, command="manage.py deadletters list",
        )  # fmt: skip
    if waits := [one for one in read.projections if one.waits_for_newer_code]:
        each = ", ".join(f"{thousands(one.waits_for_newer_code)} of {one.name}" for one in waits)
        yield Problem(AMBER, "Readers see no change of some streams",
                      f"Streams wait for newer code: {each}.", advice.NEWER_CODE,
                      command="manage.py runconsumer")  # fmt: skip


def ended(worker: Heartbeat) -> datetime:
    return worker.stopped_at or worker.beat_at


def beat_of(worker: Heartbeat) -> str:
    """Behind "Last beat:"."""
    return f"{worker.process}, {'stopped ' if worker.stopped_at else ''}{clock(ended(worker))}"


def last_seen(worker: Heartbeat) -> str:
    what = "stopped" if worker.stopped_at else "last beat"
    return f"{worker.process}, {what} {clock(ended(worker))}"


def names(projections: Iterable[str]) -> str:
    """As "orders, stock, refunds and 3 more"."""
    return _first(list(projections))


def named(partitions: Iterable[int]) -> str:
    """As "partition 3", or "partitions 0, 1, 2 and 9 more"."""
    each = sorted(partitions)
    return f"partition{'s' if each[1:] else ''} {_first(each)}"


def _first(each: Sequence[object]) -> str:
    more = len(each) - MAX_NAMED
    return ", ".join(map(str, each[:MAX_NAMED])) + (f" and {more} more" if more > 0 else "")
