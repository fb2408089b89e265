"""The path from command to reader as the console shows it: which figures, in which words, and what
needs a look."""

from typing import NamedTuple

from messaging.console.dashboard import Found, LogState, WriteSide
from messaging.monitoring.status import NOT_BUILT, ProjectionStatus, needs_workers
from messaging.templatetags.figures import age, thousands
from messaging.workers.models import Heartbeat

WARM, BAD = "warm", "bad"  # the classes of admin.css: something waits; somebody has to act
MAX_SNAPSHOT_S = 60


class Line(NamedTuple):
    """The figure stands in bold between the texts."""

    before: str
    figure: str = ""
    after: str = ""
    level: str = ""


class Step(NamedTuple):
    title: str
    lines: list[Line]
    level: str = ""


class Row(NamedTuple):
    """One projection."""

    name: str
    generation: int
    state: list[Line]
    lag: str
    lags: list[Line]  # by partition
    dead_letters: str  # empty: none
    waiting: str  # for newer code; empty: none


UNKNOWN = [Line("unknown")]


def steps(found: Found) -> list[Step]:
    """In the order in which an event takes them."""
    write = found.write
    if write is None:
        unknown = ("Commands", "Event store", "Outbox", "Relay", "Consumers")
        before = [Step(title, UNKNOWN) for title in unknown]
    else:
        before = [commands(write), store(write), outbox(write), relays(write), consumers(write)]
    return [*before[:-1], log(found.log), before[-1]]


def commands(write: WriteSide) -> Step:
    return Step("Commands", [Line("", f"{write.commands_a_second:.1f}", "/s in the last 10 s")])


def store(write: WriteSide) -> Step:
    lines = [Line("last position ", thousands(write.last_position))]
    if (write.oldest_snapshot_s or 0) > MAX_SNAPSHOT_S:
        old = f"A database snapshot is {write.oldest_snapshot_s:.0f} s old."
        lines.append(Line(old, level=BAD))
    return Step("Event store", lines)


def outbox(write: WriteSide) -> Step:
    lines = [Line("", thousands(write.outbox), " waiting")]
    if write.oldest_waiting is None:
        return Step("Outbox", lines)
    return Step("Outbox", [*lines, Line(f"the oldest for {age(write.oldest_waiting)}")], WARM)


def relays(write: WriteSide) -> Step:
    def line(one: Heartbeat) -> Line:
        role = "leader" if one.active else "stands by"
        since = f" for {age(one.since)}, last beat {age(one.beat_at)} ago"
        return Line(f"{one.process}: ", role, since)

    return _workers("Relay", [line(one) for one in write.relays])


def log(state: LogState | None) -> Step:
    if state is None:
        return Step("Log", UNKNOWN)
    records = thousands(sum(state.ends.values()))
    return Step("Log", [Line("", records, f" records in {len(state.ends)} partitions")])


def consumers(write: WriteSide) -> Step:
    lines = []
    for one in write.consumers:
        lines.append(Line(f"{one.process}: active for {age(one.since)}"))
        if one.error:
            lines.append(Line(f"It cannot work now and tries again: {one.error}", level=BAD))
    return _workers("Consumers", lines)


def _workers(title: str, lines: list[Line]) -> Step:
    if lines:
        return Step(title, lines)
    if not needs_workers():
        return Step(title, [Line("none is needed")])
    return Step(title, [Line("none is alive")], BAD)


def rows(found: Found) -> list[Row]:
    return [row(one) for one in found.read.projections] if found.read else []


def row(one: ProjectionStatus) -> Row:
    state = [Line(one.state, level=BAD if one.state == NOT_BUILT else "")]
    if one.rebuild:
        state.append(Line(one.rebuild))
    state += [Line(f"Partition {p} is halted: {why}", level=BAD) for p, why in one.halted.items()]
    state += [_stall(partition, seconds) for partition, seconds in one.stalled.items()]
    waiting = one.waits_for_newer_code
    return Row(
        name=one.name,
        generation=one.generation,
        state=state,
        lag="inline" if one.inline else thousands(one.lag),
        lags=[
            Line(f"{partition}: {thousands(lag)}", level=WARM if lag else "")
            for partition, lag in one.lag_by_partition.items()
        ],
        dead_letters=thousands(one.dead_letters) if one.dead_letters else "",
        waiting=f"{thousands(waiting)} streams wait for newer code" if waiting else "",
    )


def _stall(partition: int, seconds: int | None) -> Line:
    what = "ever begun" if seconds is None else f"taken anything for {thousands(seconds)} s"
    return Line(f"Partition {partition} is stalled: no consumer has {what}.", level=BAD)
