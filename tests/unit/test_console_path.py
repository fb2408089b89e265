"""What the console shows of a figure, and when it says that somebody has to act."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from messaging.console.dashboard import Found, LogState, WriteSide
from messaging.console.path import GONE, Line, Row, Step, row, rows, steps, trend_of
from messaging.message import utc_now
from messaging.monitoring.levels import AMBER, RED
from messaging.monitoring.status import ProjectionStatus
from messaging.projections.models import Checkpoint
from tests.support.console_looks import POSTS, READ, WRITE, found, worker


def shown(one: ProjectionStatus, **parts: Any) -> Row:
    return row(found(read=replace(READ, projections=[one]), **parts), one)


def step(title: str, write: WriteSide | None = WRITE, log: LogState | None = None) -> Step:
    return next(one for one in steps(found(write=write, log=log)) if one.title == title)


def test_the_steps_stand_in_the_order_in_which_an_event_takes_them() -> None:
    order = ["Commands", "Event store", "Outbox", "Relay", "Log", "Consumers"]
    for write in (WRITE, None):
        assert [one.title for one in steps(found(write=write))] == order


def test_a_part_that_does_not_answer_is_unknown_and_not_bad() -> None:
    for one in steps(found()):
        assert one == Step(one.title, [Line("unknown")])
    assert rows(found()) == []


@pytest.mark.parametrize(
    ("age_s", "said"),
    [(None, []), (60.0, []), (61.0, [Line("A database snapshot is 61 s old.", level=AMBER)])],
)
def test_a_snapshot_is_amber_once_it_is_older_than_a_minute(
    age_s: float | None, said: list[Line]
) -> None:
    lines = step("Event store", replace(WRITE, oldest_snapshot_s=age_s)).lines
    assert lines == [Line("last position ", "12,345"), *said]


@pytest.mark.parametrize(("age_s", "level"), [(9, ""), (12, AMBER), (61, RED)])
def test_an_outbox_is_amber_and_red_by_the_age_of_its_oldest_event(age_s: int, level: str) -> None:
    assert step("Outbox") == Step("Outbox", [Line("", "0", " waiting")])
    since = utc_now() - timedelta(seconds=age_s)
    outbox = step("Outbox", replace(WRITE, outbox=1_000, oldest_waiting=since))
    assert outbox.lines[0] == Line("", "1,000", " waiting")
    assert outbox.level == level


@pytest.mark.parametrize("title", ["Relay", "Consumers"])
def test_that_no_worker_is_alive_is_bad(title: str) -> None:
    assert step(title) == Step(title, [Line("none is alive")], RED)
    assert step(title, replace(WRITE, relays=[worker()], consumers=[worker()])).level == ""


def test_a_relay_leads_or_stands_by() -> None:
    relays = [worker(), worker(active=False)]
    lines = step("Relay", replace(WRITE, relays=relays)).lines
    assert [(one.before, one.figure) for one in lines] == [
        ("near 1: ", "leader"),
        ("near 1: ", "stands by"),
    ]


def test_a_consumer_that_cannot_work_says_why() -> None:
    lines = step("Consumers", replace(WRITE, consumers=[worker(error="disk full")])).lines
    assert lines[1] == Line("It cannot work now and tries again: disk full", level=RED)


def test_the_log_is_counted_over_its_partitions() -> None:
    log = LogState(ends={0: 1_000, 1: 5}, identity=UUID(int=1), hazards=[])  # type: ignore[arg-type]
    assert step("Log", log=log).lines == [Line("", "1,005", " records in 2 partitions")]


def test_who_is_gone_stays_in_the_box_for_an_hour() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    gone = [
        worker("killed 1", beat_at=at), worker("stopped 2", beat_at=at, stopped_at=at),
        *(worker(f"old {n}", beat_at=at) for n in range(3)), worker("c", role="consumer"),
    ]  # fmt: skip
    lines = step("Relay", replace(WRITE, relays=[worker()], gone=gone)).lines
    assert [one for one in lines if one.level == GONE] == [
        Line("killed 1, last beat 2 Jan 03:04:05 UTC", level=GONE),
        Line("stopped 2, stopped 2 Jan 03:04:05 UTC", level=GONE),
        Line("old 0, last beat 2 Jan 03:04:05 UTC", level=GONE),
        Line("and 2 more within the last hour", level=GONE),
    ]


def test_a_projection_that_is_level_needs_no_look() -> None:
    one = shown(POSTS)
    assert one.state == [Line("live")]
    assert (one.lag, one.trend, one.dead_letters, one.waiting) == ("0", "", "", "")
    assert (one.level, one.worst, one.summary) == ("", "", "level")


def test_what_of_a_projection_needs_a_look_is_said() -> None:
    one = shown(
        replace(
            POSTS,
            state="halted",
            rebuild="generation 3, from the log",
            lag=None,
            lag_by_partition={0: 0, 1: 2_000},
            halted={3: "It forked."},
            stalled={0: 20, 1: 1_500, 2: None},
            dead_letters=1_001,
            waits_for_newer_code=60,
        )
    )
    assert one.state == [
        Line("halted"),
        Line("generation 3, from the log"),
        Line("Partition 3 is halted: It forked.", level=RED),
        Line("Partitions 0, 1 are stalled: no consumer has taken anything for 1,500 s.", level=RED),
        Line("Partition 2 is stalled: no consumer has ever begun.", level=RED),
    ]
    assert (one.lag, one.dead_letters) == ("unknown", "1,001")
    assert one.waiting == "60 streams wait for newer code"


@pytest.mark.parametrize(
    ("lag", "a_second", "said"),
    [
        (0, -840.0, ""), (5_880, None, ""), (5_880, -840.0, "\N{MINUS SIGN}840/s, level in 7 s"),
        (10, 0.1, "stands still"), (9_000, 12.4, "+12/s, grows"),
        (12_000, -10.0, "\N{MINUS SIGN}10/s, level in 20 min"),
        (720_000, -10.0, "\N{MINUS SIGN}10/s, level in 20 h"),
    ],
)  # fmt: skip
def test_a_lag_says_whether_it_shrinks_and_when_it_is_level(
    lag: int, a_second: float | None, said: str
) -> None:
    assert trend_of(lag, a_second) == said


def test_each_partition_shows_its_lag_offset_and_owner() -> None:
    at = utc_now()
    fresh, old = at - timedelta(seconds=2), at - timedelta(seconds=11)
    checkpoints = {
        ("posts", 2, partition): Checkpoint(offset=1_000, checked_at=checked_at)
        for partition, checked_at in enumerate((fresh, old, fresh))
    }
    one = replace(
        POSTS, lag=3_030, lag_by_partition={0: 0, 1: 30, 2: 3_000, 3: 60}, stalled={3: None}
    )
    mine, dead = worker(partitions={"posts": [0, 1]}), worker("far 2", partitions={"posts": [2]})
    every = row(
        Found(
            at=at, read=replace(READ, checkpoints=checkpoints),
            write=replace(WRITE, consumers=[mine], gone=[dead]),
            log=LogState(ends={0: 1_000, 1: 1_030, 2: 4_000, 3: 60}, identity=None, hazards=[]),  # type: ignore[arg-type]
        ),
        one,
    )  # fmt: skip
    assert [(p.level, p.bar, p.offset, p.end) for p in every.partitions] == [
        ("", 0, "1,000", "1,000"),
        (AMBER, 1, "1,000", "1,030"),  # it has not moved for 11 s
        (AMBER, 100, "1,000", "4,000"),  # a tenth of MAX_LAG
        (RED, 2, "0", "60"),
    ]
    owners = [(p.owner.split(",")[0], p.is_gone) for p in every.partitions]
    assert owners == [("near 1", False), ("near 1", False), ("far 2", True), ("nobody", False)]
    assert (every.worst, every.summary) == (RED, "3 of 4 behind")
    assert every.in_words.startswith("partition 1 lacks 30; partition 2 lacks 3,000")


def test_every_projection_has_a_row() -> None:
    read = replace(READ, projections=[POSTS, POSTS])
    assert [one.name for one in rows(found(read=read))] == ["posts", "posts"]
