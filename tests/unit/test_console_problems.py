"""The line on top of the console: what readers see, since when, whose last beat, what to type."""

import re
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import markdown.extensions.toc
import pytest

from messaging.console import advice, dashboard
from messaging.console.dashboard import Dashboard, Found, LogState
from messaging.console.problems import Problem, problems, verdict_on
from messaging.monitoring.figures import Figures, ProjectionFigures
from messaging.monitoring.levels import AMBER, RED, WELL
from messaging.monitoring.samples import Point
from messaging.projections.models import Checkpoint
from tests.support.console_looks import POSTS, READ, WRITE, found, worker
from tests.support.settings import postlog

AT = datetime(2026, 1, 2, 3, 12, 41, tzinfo=UTC)
OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def the_problem(seen: Found) -> Problem:
    (only,) = problems(seen)
    return only


def test_all_is_well_where_nothing_is_wrong_and_says_whose_last_beat() -> None:
    write = replace(WRITE, relays=[worker()], consumers=[worker("near 2")])
    verdict = verdict_on(found(write=write, read=replace(READ, projections=[POSTS])))
    assert (verdict.level, verdict.title, verdict.problems) == (WELL, "All well", [])
    said = r"near 1 \(relay\) \d+ s ago, near 2 \(consumer\) \d+ s ago"
    assert re.fullmatch(said, verdict.beat)


@pytest.mark.parametrize(
    ("command", "role", "cause"),
    [
        ("manage.py runconsumer", "consumer", "No consumer is alive, and no relay leads."),
        ("manage.py runrelay", "relay", "No relay leads."),
    ],
)
def test_who_is_missing_since_when_and_what_to_type(command: str, role: str, cause: str) -> None:
    killed = worker("far 2", role=role, beat_at=AT)
    older = worker("far 1", role=role, beat_at=AT - timedelta(hours=1))
    write = replace(WRITE, missing=[command], gone=[killed, older])
    one = the_problem(found(write=write))
    assert (one.level, one.readers, one.cause) == (RED, "Readers see nothing newer", cause)
    assert (one.since, one.command) == (AT, command)
    assert one.beat == f"far 2, 2 Jan 03:12:41 UTC ({role})"
    nobody = the_problem(found(write=replace(WRITE, missing=[command])))
    assert (nobody.since, nobody.beat) == (None, "none within the last hour")


def test_that_nobody_works_is_one_problem_and_not_one_for_each_projection() -> None:
    behind = replace(POSTS, stalled={0: 90}, lag=10**6, lag_by_partition={0: 10**6})
    write = replace(WRITE, missing=["manage.py runconsumer"])
    seen = found(write=write, read=replace(READ, projections=[behind, behind]))
    assert len(problems(seen)) == 1


def test_stalled_partitions_are_one_problem_which_names_who_had_them() -> None:
    stalled = replace(POSTS, stalled={1: 90, 2: None}, lag_by_partition={1: 5, 2: 1})
    frozen = worker("far 2", role="consumer", beat_at=AT, partitions={"posts": [1]})
    write = replace(WRITE, consumers=[worker()], gone=[frozen])
    at = AT + timedelta(seconds=90)
    both = [stalled, replace(stalled, name="likes")]
    one = the_problem(found(at, write=write, read=replace(READ, projections=both)))
    assert (one.since, one.command) == (AT, "manage.py runconsumer")
    assert one.readers == "Readers see nothing newer of posts, likes, partitions 1, 2"
    assert one.beat == "far 2, 2 Jan 03:12:41 UTC, which had them"


def test_partitions_that_are_halted_for_one_reason_are_one_problem() -> None:
    halted = replace(POSTS, halted={1: "It forked.", 2: "It forked.", 3: "Another."})
    checkpoints = {("posts", 2, 2): Checkpoint(checked_at=AT)}
    read = replace(READ, projections=[halted], checkpoints=checkpoints)
    first, second = problems(found(read=read))
    assert first.cause == "Partitions 1, 2 are halted: It forked."
    assert (first.since, second.cause) == (AT, "Partition 3 is halted: Another.")


def test_a_consumer_that_cannot_write_says_since_when_nothing_moves() -> None:
    write = replace(WRITE, consumers=[worker(error="posts: disk full")])
    behind = replace(POSTS, stalled={0: 90})  # which follows from it
    checkpoints = {("posts", 2, 0): Checkpoint(checked_at=AT)}
    read = replace(READ, projections=[behind], checkpoints=checkpoints)
    one = the_problem(found(write=write, read=read))
    assert (one.level, one.since) == (RED, AT)
    assert one.cause == "Consumer near 1 cannot write, and tries again: posts: disk full."


@pytest.mark.parametrize(("lag", "level"), [(1_000, None), (1_001, AMBER), (10_001, RED)])
def test_a_lag_is_amber_at_a_tenth_of_the_limit_and_red_above_it(
    lag: int, level: str | None
) -> None:
    read = replace(READ, projections=[replace(POSTS, lag=lag)])
    assert [one.level for one in problems(found(read=read))] == ([level] if level else [])


def sampled(**values: Any) -> Point:
    since, figures = AT - timedelta(seconds=20), Figures(**values)
    return Point(since, AT, figures, 0, None, None, {}, None, None)


def test_a_lag_says_since_when_by_the_newest_sample() -> None:
    read = replace(READ, projections=[replace(POSTS, lag=10_001)])
    lagging = sampled(projections={"posts": ProjectionFigures(lag=9_000, lag_s=95.0)})
    one = the_problem(found(AT, read=read, lately=[lagging]))
    assert one.since == AT - timedelta(seconds=95)
    assert the_problem(found(AT, read=read)).since is None


def test_requests_that_fail_are_a_problem_where_nothing_else_explains_them() -> None:
    few, many = (sampled()._replace(failed_per_min=rate) for rate in (10.0, 10.1))
    assert problems(found(AT, lately=[many, few])) == []
    one = the_problem(found(AT, lately=[few, many]))
    assert (one.level, one.since) == (AMBER, many.since)
    assert one.cause == "10 requests a minute are answered with 5xx."
    write = replace(WRITE, missing=["manage.py runrelay"])
    assert the_problem(found(AT, write=write, lately=[many])).level == RED


def test_dead_letters_are_amber_since_the_oldest() -> None:
    later = AT + timedelta(hours=1)
    likes = replace(POSTS, name="likes", dead_letters=1_000)
    read = replace(
        READ,
        projections=[replace(POSTS, dead_letters=1), likes],
        parked_since={"posts": later, "likes": AT},
    )
    one = the_problem(found(read=read))
    assert (one.level, one.since) == (AMBER, AT)
    assert one.cause == "Dead letters: 1 of posts, 1,000 of likes."


def test_the_worst_stands_first_and_in_the_pages_title() -> None:
    log = LogState(ends={}, identity=None, hazards=["Retention."])  # type: ignore[arg-type]
    halted = replace(POSTS, halted={3: "It forked."})
    write = replace(WRITE, oldest_snapshot_s=61)
    read = replace(READ, projections=[halted])
    verdict = verdict_on(found(write=write, log=log, read=read))
    assert [one.level for one in verdict.problems] == [RED, AMBER, AMBER]
    assert verdict.title == "Act now: Partition 3 is halted: It forked (+2)"


def test_a_part_that_is_down_is_red_since_it_was_seen_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    down = [("log", "BusError: away")]
    looks = deque([Found(at=AT, faults=down), Found(at=AT + timedelta(minutes=1), faults=down),
                   Found(at=AT)])  # fmt: skip
    monkeypatch.setattr(dashboard, "refresh", looks.popleft)
    monkeypatch.setattr(dashboard, "FRESH_S", 0)
    board = Dashboard()
    for _ in range(2):
        one = the_problem(board.current())
        assert (one.level, one.since, one.advice) == (RED, AT, advice.LOG)
    assert problems(board.current()) == []


def test_the_trend_of_a_lag_is_that_of_the_last_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(dashboard.time, "monotonic", lambda: clock[0])
    trends = []
    board = Dashboard()
    for second, lag in ((10, 9_000), (12, 8_000), (20, 4_000), (27, 4_000), (60, 4_000)):
        clock[0] = second
        read = replace(READ, projections=[replace(POSTS, lag=lag)])
        monkeypatch.setattr(dashboard, "refresh", lambda read=read: Found(at=AT, read=read))
        trends.append(board.current().trends)
    # The last one has nothing of the last 15 s to compare with.
    assert trends == [{}, {"posts": -500}, {"posts": -500}, {"posts": -4_000 / 15}, {}]


def test_every_section_that_the_console_names_is_one_of_the_documentation() -> None:
    headings = {line[3:] for line in OPERATIONS.read_text().splitlines() if line.startswith("## ")}
    assert {one.section for one in advice.ALL} <= headings


def test_the_console_links_to_the_section_where_the_documentation_is_served() -> None:
    assert advice.WORKERS.address == ""
    with postlog(DOCS_URL="https://docs.example/postlog/"):
        found = {one.address.partition("operations.html#") for one in advice.ALL}
    assert {base for base, _, _ in found} == {"https://docs.example/postlog/"}
    assert {anchor for _, _, anchor in found} == {
        markdown.extensions.toc.slugify(one.section, "-") for one in advice.ALL
    }
