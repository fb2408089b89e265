"""The path from command to reader as the console shows it: which figures, in which words, and what
needs a look."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import NamedTuple

from messaging.console.dashboard import Found, LogState, WriteSide
from messaging.console.partitions import STEP, Partition, partitions, worst
from messaging.console.problems import last_seen, named
from messaging.console.sparks import Spark, spark
from messaging.monitoring import levels
from messaging.monitoring.levels import AMBER, RED
from messaging.monitoring.status import NOT_BUILT, ProjectionStatus, needs_workers
from messaging.templatetags.figures import age, thousands
from messaging.workers.models import Heartbeat

GONE = "gone"  # the class of admin.css for who is not there any more
MAX_GONE = 3  # of a role
MAX_ERROR = 120  # characters in a box; the first line of the page has it whole


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
    spark: Spark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One projection."""

    name: str
    generation: int
    state: list[Line]
    lag: str
    level: str  # of the lag
    trend: str
    partitions: list[Partition]
    worst: str  # the level of the worst partition
    dead_letters: str  # empty: none
    waiting: str  # for newer code; empty: none

    @property
    def in_words(self) -> str:
        """The bars, for who does not see them."""
        behind = [f"partition {one.number} lacks {one.lag}" for one in self.partitions if one.bar]
        return "; ".join(behind) or "all partitions are level"

    @property
    def summary(self) -> str:
        behind = sum(bool(one.bar) for one in self.partitions)
        return f"{behind} of {len(self.partitions)} behind" if behind else "level"

    @property
    def width(self) -> int:
        """Of the small picture."""
        return STEP * len(self.partitions)


UNKNOWN = [Line("unknown")]


def steps(found: Found) -> list[Step]:
    """In the order in which an event takes them."""
    write = found.write
    if write is None:
        unknown = ("Commands", "Event store", "Outbox", "Relay", "Consumers")
        before = [Step(title, UNKNOWN) for title in unknown]
    else:
        before = [
            commands(write), store(write), outbox(found, write), relays(write), consumers(write),
        ]  # fmt: skip
    each = [*before[:-1], log(found.log), before[-1]]
    return [step._replace(spark=spark(found, step.title)) for step in each]


def commands(write: WriteSide) -> Step:
    return Step("Commands", [Line("", f"{write.commands_a_second:.1f}", "/s in the last 10 s")])


def store(write: WriteSide) -> Step:
    lines = [Line("last position ", thousands(write.last_position))]
    if (write.oldest_snapshot_s or 0) <= levels.SNAPSHOT_AMBER_S:
        return Step("Event store", lines)
    old = f"A database snapshot is {write.oldest_snapshot_s:.0f} s old."
    return Step("Event store", [*lines, Line(old, level=AMBER)], AMBER)


def outbox(found: Found, write: WriteSide) -> Step:
    lines = [Line("", thousands(write.outbox), " waiting")]
    if write.oldest_waiting is None:
        return Step("Outbox", lines)
    oldest_s = (found.at - write.oldest_waiting).total_seconds()
    lines.append(Line(f"the oldest for {age(write.oldest_waiting)}"))
    return Step("Outbox", lines, levels.of_outbox(oldest_s))


def relays(write: WriteSide) -> Step:
    def line(one: Heartbeat) -> Line:
        role = "leader" if one.active else "stands by"
        since = f" for {age(one.since)}, last beat {age(one.beat_at)} ago"
        return Line(f"{one.process}: ", role, since)

    return _workers("Relay", [line(one) for one in write.relays], _gone(write, "relay"))


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
            why = shorten(one.error, MAX_ERROR, placeholder="\N{HORIZONTAL ELLIPSIS}")
            lines.append(Line(f"It cannot work now and tries again: {why}", level=RED))
    return _workers("Consumers", lines, _gone(write, "consumer"))


def _gone(write: WriteSide, role: str) -> list[Line]:
    every = [one for one in write.gone if one.role == role]
    lines = [Line(last_seen(one), level=GONE) for one in every[:MAX_GONE]]
    if (more := len(every) - MAX_GONE) > 0:
        lines.append(Line(f"and {more} more within the last hour", level=GONE))
    return lines


def _workers(title: str, lines: list[Line], gone: list[Line]) -> Step:
    if lines:
        bad = any(line.level == RED for line in lines)
        return Step(title, [*lines, *gone], RED if bad else levels.WELL)
    if not needs_workers():
        return Step(title, [Line("none is needed"), *gone])
    return Step(title, [Line("none is alive"), *gone], RED)


def rows(found: Found) -> list[Row]:
    return [row(found, one) for one in found.read.projections] if found.read else []


def row(found: Found, one: ProjectionStatus) -> Row:
    state = [Line(one.state, level=RED if one.state == NOT_BUILT else "")]
    if one.rebuild:
        state.append(Line(one.rebuild))
    state += [Line(f"Partition {p} is halted: {why}", level=RED) for p, why in one.halted.items()]
    state += _stalls(one.stalled)
    waiting = one.waits_for_newer_code
    return Row(
        name=one.name,
        generation=one.generation,
        state=state,
        lag="inline" if one.inline else thousands(one.lag),
        level=levels.of_lag(one.lag or 0),
        trend=trend_of(one.lag or 0, found.trends.get(one.name)),
        partitions=(each := partitions(found, one)),
        worst=worst(each),
        dead_letters=thousands(one.dead_letters) if one.dead_letters else "",
        waiting=f"{thousands(waiting)} streams wait for newer code" if waiting else "",
    )


def trend_of(lag: int, a_second: float | None) -> str:
    """As "-840/s, level in 7 s". Empty where there is no lag, or nothing to compare with yet."""
    if not lag or a_second is None:
        return ""
    if abs(a_second) < 0.5:
        return "stands still"
    if a_second > 0:
        return f"+{a_second:,.0f}/s, grows"
    return f"\N{MINUS SIGN}{-a_second:,.0f}/s, level in {_span(lag / -a_second)}"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:,.0f} min" if seconds < 6_000 else f"{seconds / 3_600:,.0f} h"


def _stalls(stalled: Mapping[int, int | None]) -> list[Line]:
    begun = {p: seconds for p, seconds in stalled.items() if seconds is not None}
    whats = [(begun, f"taken anything for {thousands(max(begun.values(), default=0))} s"),
             (stalled.keys() - begun.keys(), "ever begun")]  # fmt: skip
    return [
        Line(f"{named(each).capitalize()} {verb} stalled: no consumer has {what}.", level=RED)
        for each, what in whats
        if each and (verb := "is" if len(each) == 1 else "are")
    ]
