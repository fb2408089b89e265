"""What the console shows of a figure, and when it says that somebody has to act."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from messaging.console.dashboard import Found, LogState, ReadSide, WriteSide
from messaging.console.path import BAD, WARM, Line, Step, row, rows, steps
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


def worker(*, active: bool = True, error: str = "") -> Heartbeat:
    since = utc_now() - timedelta(minutes=7)
    return Heartbeat(
        role="x", process="near 1", active=active, since=since, beat_at=utc_now(), error=error
    )


def step(title: str, write: WriteSide | None = WRITE, log: LogState | None = None) -> Step:
    return next(s for s in steps(Found(at=utc_now(), write=write, log=log)) if s.title == title)


def test_the_steps_stand_in_the_order_in_which_an_event_takes_them() -> None:
    order = ["Commands", "Event store", "Outbox", "Relay", "Log", "Consumers"]
    for write in (WRITE, None):
        assert [one.title for one in steps(Found(at=utc_now(), write=write))] == order


def test_a_part_that_does_not_answer_is_unknown_and_not_bad() -> None:
    for one in steps(Found(at=utc_now())):
        assert one == Step(one.title, [Line("unknown")])
    assert rows(Found(at=utc_now())) == []


@pytest.mark.parametrize(
    ("age_s", "said"),
    [(None, []), (60.0, []), (61.0, [Line("A database snapshot is 61 s old.", level=BAD)])],
)
def test_a_snapshot_is_bad_once_it_is_older_than_a_minute(
    age_s: float | None, said: list[Line]
) -> None:
    found = step("Event store", replace(WRITE, oldest_snapshot_s=age_s))
    assert found.lines == [Line("last position ", "12,345"), *said]


def test_an_outbox_in_which_something_waits_is_warm() -> None:
    assert step("Outbox") == Step("Outbox", [Line("", "0", " waiting")])
    since = utc_now() - timedelta(minutes=3)
    found = step("Outbox", replace(WRITE, outbox=1_000, oldest_waiting=since))
    lines = [Line("", "1,000", " waiting"), Line("the oldest for 3 min")]
    assert found == Step("Outbox", lines, WARM)


@pytest.mark.parametrize("title", ["Relay", "Consumers"])
def test_that_no_worker_is_alive_is_bad(title: str) -> None:
    assert step(title) == Step(title, [Line("none is alive")], BAD)
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
    assert lines[1] == Line("It cannot work now and tries again: disk full", level=BAD)


def test_the_log_is_counted_over_its_partitions() -> None:
    log = LogState(ends={0: 1_000, 1: 5}, identity=UUID(int=1), hazards=[])  # type: ignore[arg-type]
    assert step("Log", log=log).lines == [Line("", "1,005", " records in 2 partitions")]


def test_a_projection_that_is_level_needs_no_look() -> None:
    found = row(POSTS)
    assert found.state == [Line("live")]
    assert found.lags == [Line("0: 0"), Line("1: 0")]
    assert (found.lag, found.dead_letters, found.waiting) == ("0", "", "")


def test_what_of_a_projection_needs_a_look_is_said() -> None:
    found = row(
        replace(
            POSTS,
            state="halted",
            rebuild="generation 3, from the log",
            lag=None,
            lag_by_partition={0: 0, 1: 2_000},
            halted={3: "It forked."},
            stalled={1: 1_500, 2: None},
            dead_letters=1_001,
            waits_for_newer_code=60,
        )
    )
    assert found.state == [
        Line("halted"),
        Line("generation 3, from the log"),
        Line("Partition 3 is halted: It forked.", level=BAD),
        Line("Partition 1 is stalled: no consumer has taken anything for 1,500 s.", level=BAD),
        Line("Partition 2 is stalled: no consumer has ever begun.", level=BAD),
    ]
    assert found.lags == [Line("0: 0"), Line("1: 2,000", level=WARM)]
    assert (found.lag, found.dead_letters) == ("unknown", "1,001")
    assert found.waiting == "60 streams wait for newer code"


def test_every_projection_has_a_row() -> None:
    read = ReadSide(projections=[POSTS, POSTS], last_parked=None, last_failed=None)
    assert [one.name for one in rows(Found(at=utc_now(), read=read))] == ["posts", "posts"]
