"""Plots of the samples: one axis, lines that break at gaps, strips, marks."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from messaging.console.axis import (
    HEIGHT,
    SPANS,
    WIDTH,
    Axis,
    Scale,
    bands,
    gaps,
    nice,
    path,
    span_of,
)
from messaging.console.marks import begin, of_points
from messaging.console.path import steps
from messaging.console.plots import STYLES, plots_of, strips_of
from messaging.console.sparks import DRAWN
from messaging.console.troubles import GAP, last_trouble, troubles
from messaging.monitoring import samples
from messaging.monitoring.figures import Figures, ProjectionFigures
from messaging.monitoring.samples import Point
from tests.support.console_looks import WRITE, found

UNTIL = datetime(2026, 1, 2, 4, 0, 5, tzinfo=UTC)
HOUR = SPANS[0]
AXIS = Axis(UNTIL - HOUR.length, UNTIL, HOUR)


def point(minute: int, *, stored: float | None = None, missing_s: float = 0.0,
          **figures: object) -> Point:  # fmt: skip
    """One of a minute, so many minutes into the hour."""
    since = AXIS.since + timedelta(minutes=minute)
    return Point(since, since + timedelta(minutes=1), Figures(**figures), missing_s, stored, None,
                 {}, None, None)  # type: ignore[arg-type]  # fmt: skip


def stored(one: Point) -> float | None:
    return one.stored_per_s


def test_a_time_stands_within_the_picture_whatever_a_clock_said() -> None:
    assert [AXIS.x(UNTIL - timedelta(minutes=m)) for m in (60, 30, 0)] == [0, WIDTH // 2, WIDTH]
    assert (AXIS.x(UNTIL + timedelta(days=1)), AXIS.x(UNTIL - timedelta(days=1))) == (WIDTH, 0)


def test_ticks_stand_at_round_times_and_none_is_cut_off_at_an_edge() -> None:
    labels = [one.label for one in AXIS.ticks()]
    assert labels == ["03:10", "03:20", "03:30", "03:40", "03:50", ""]
    week = Axis(UNTIL - timedelta(days=7), UNTIL, span_of("7d"))
    assert [one.label for one in week.ticks()][:2] == ["27 Dec", "28 Dec"]


@pytest.mark.parametrize("name", [None, "", "2h", "1h' OR 1=1", "x" * 10_000])
def test_a_span_that_there_is_not_is_the_hour(name: str | None) -> None:
    assert span_of(name) == HOUR


@pytest.mark.parametrize(("most", "top"), [(0, 1), (0.03, 0.05), (1, 1), (11, 20), (99_000, 1e5)])
def test_a_scale_ends_at_a_round_figure(most: float, top: float) -> None:
    assert nice(most) == pytest.approx(top)


def test_a_scale_by_factors_of_ten_shows_the_small_beside_the_large() -> None:
    even, tens = Scale(10_000), Scale(10_000, 1.0)
    assert (even.y(0), even.y(10_000), even.y(20_000)) == (HEIGHT, 0, 0)
    assert even.y(100) == 99
    assert (tens.y(0), tens.y(100), tens.y(10_000)) == (HEIGHT, 50, 0)


def test_a_line_breaks_where_there_is_no_sample_or_no_figure() -> None:
    figures = {0: 0, 1: 10, 4: 10, 5: None, 6: 0}
    points = [point(minute, stored=figure) for minute, figure in figures.items()]
    drawn = path(AXIS, Scale(10), points, stored)
    assert drawn == "M0 100L17 100L33 0M67 0L83 0M100 100L117 100"
    assert path(AXIS, Scale(10), [], stored) == ""


def test_times_without_samples_are_gaps_and_an_empty_week_is_one() -> None:
    whole = [(0, WIDTH)]
    assert [(one.x, one.width) for one in gaps(AXIS, [])] == whole
    points = [
        *map(point, range(30)),
        *map(point, range(40, 58)),
        point(58, missing_s=50),
        point(59),
    ]
    assert [(one.x, one.width) for one in gaps(AXIS, points)] == [(500, 167), (967, 16)]


def test_what_lasts_is_one_band() -> None:
    points = [point(m, leader="near 1" if m < 2 else "far 2") for m in (0, 1, 2, 3, 9)]
    found = bands(AXIS, points, lambda one: ("", one.figures.leader))
    assert [(one.x, one.title) for one in found] == [(0, "near 1"), (33, "far 2"), (150, "far 2")]


def test_strips_are_red_where_nobody_leads_or_is_alive_and_where_partitions_are_halted() -> None:
    halted = {"posts": ProjectionFigures(halted=(3, 4))}
    well = point(0, leader="near 1", workers={"relay": 2, "consumer": 1})
    strips = strips_of(AXIS, [well, point(1, projections=halted)])
    assert {one.name: [(band.level, band.title) for band in one.bands] for one in strips} == {
        "Leader": [("", "near 1 leads"), ("bad", "no relay leads")],
        "Relays": [("", "2 alive"), ("bad", "no relay is alive")],
        "Consumers": [("", "1 alive"), ("bad", "no consumer is alive")],
        "Halted partitions": [("bad", "posts: 3, 4")],
        "Could not work": [],
    }


def test_a_lag_is_drawn_with_its_limit_and_says_its_figures_in_words() -> None:
    lagging = {"posts": ProjectionFigures(lag=300)}
    less = {"posts": ProjectionFigures(lag=200)}
    points = [point(0, projections=lagging), point(1, projections=lagging)]
    plots = plots_of(AXIS, points, point(2, projections=less))
    lag = next(one for one in plots if one.title.startswith("Lag"))
    (limit,) = lag.limits
    assert (limit.figure, limit.level) == (10_000, "bad")
    assert 0 < limit.y < 30, "the limit is in the picture, near its top"
    assert "posts: at most 300, now 200" in lag.in_words
    empty = plots_of(AXIS, [], None)
    assert all(line.path == "" and line.last == "none" for one in empty for line in one.lines)


def test_each_box_has_a_small_line_of_the_last_hour() -> None:
    points = [point(m, stored=5.0, outbox_age_s=float(m)) for m in range(60)]
    drawn = {one.title: one.spark for one in steps(found(UNTIL, write=WRITE, lately=points))}
    assert all(title in drawn for title in DRAWN)
    commands, outbox = drawn["Commands"], drawn["Outbox"]
    assert commands is not None
    assert commands.path.startswith("M0 50L17 50"), "of 10 at least"
    assert commands.words == "In the last hour at most 5 events stored a second"
    assert outbox is not None
    assert "at most 59 s of waiting" in outbox.words
    assert drawn["Relay"] is None, "no figure of it"
    assert all(one.spark is None for one in steps(found(UNTIL, write=WRITE)))


WORKS: dict[str, object] = {"workers": {"consumer": 1}, "leader": "near 1"}


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"leader": "near 1"}, "no consumer was alive"),
        ({"workers": {"consumer": 1}}, "no relay led"),
        ({"outbox_age_s": 11.0}, "events waited 11 s in the outbox"),
        ({"projections": {"posts": ProjectionFigures(halted=(3,))}},
         "partitions of posts were halted"),
        ({"projections": {"posts": ProjectionFigures(lag=9, lag_s=16.0)}},
         "readers of posts were 16 s behind"),
        ({"projections": {"posts": ProjectionFigures(dead_letters=1_200)}},
         "dead letters: 1,200 of posts"),
        ({"errors": ("consumer near 1 could not work: no space left",)},
         "consumer near 1 could not work: no space left"),
    ],
)  # fmt: skip
def test_it_is_said_when_the_last_trouble_was_over(trouble: dict[str, object], said: str) -> None:
    given = trouble if said in ("no consumer was alive", "no relay led") else WORKS | trouble
    points = [point(0, **given), point(1, **given), point(2, **WORKS), point(3, **WORKS)]
    over = last_trouble(points)
    assert over is not None
    assert (over.at, over.what) == (points[1].until, said)
    assert last_trouble(points[2:]) is last_trouble([]) is None


def test_all_are_named_whose_readers_were_behind_at_some_time_of_it() -> None:
    def late(**seconds: float) -> dict[str, ProjectionFigures]:
        return {name: ProjectionFigures(lag=9, lag_s=s) for name, s in seconds.items()}

    points = [
        point(0, **WORKS, projections=late(posts=60.0, search=60.0)),
        point(1, **WORKS, projections=late(posts=70.0)),
    ]
    (one,) = troubles(points)
    assert one.what == "readers of posts, search were 70 s behind"


def test_a_time_without_samples_was_trouble() -> None:
    points = [point(0, **WORKS), point(7, **WORKS)]
    assert last_trouble(points) == (points[0].until, points[1].since, GAP)


def test_each_trouble_is_told_from_its_beginning_to_its_end_at_its_worst() -> None:
    def parked(count: int) -> dict[str, ProjectionFigures]:
        return {"posts": ProjectionFigures(dead_letters=count)}

    full = {"errors": ("consumer near 1 could not work: file 7 is full",)}
    fuller = {"errors": ("consumer near 1 could not work: file 8 is full",)}
    points = [
        point(0, **WORKS),
        point(1, leader="near 1"),
        point(2, **WORKS, projections=parked(3)),
        point(3, **WORKS, **full, projections=parked(5)),
        point(4, **WORKS, **fuller, projections=parked(4)),
        point(5, **WORKS, projections=parked(4)),
        point(6, **WORKS)._replace(failed_per_min=11.0),
    ]
    told = [(one.since.minute - points[0].since.minute, one.until.minute - points[0].since.minute,
             one.what, one.is_over) for one in troubles(points)]  # fmt: skip
    assert told == [
        (1, 2, "no consumer was alive", True),
        (2, 6, "dead letters: 5 of posts", True),
        (3, 5, "consumer near 1 could not work: file 7 is full", True),
        (6, 7, "11 requests a minute failed (5xx)", False),
    ]
    assert last_trouble(points[:6]) == (
        points[2].since,
        points[5].until,
        "dead letters: 5 of posts",
    )


def of(before: dict[str, object], now: dict[str, object]) -> Sequence[tuple[str, str]]:
    return [found[1:] for found in of_points([point(0, **before), point(1, **now)])]


def test_what_of_a_long_last_point_is_over_is_told_by_the_newest_sample() -> None:
    points = [point(0, errors=("the log did not answer: away",))]
    for newest, kinds in ((point(1, **WORKS), []), (point(1), ["consumer", "relay"])):
        assert [one.kind for one in troubles(points, newest) if not one.is_over] == kinds
    assert not any(one.is_over for one in troubles(points)), "nothing newer is known"


def test_starts_stops_leaders_and_dead_letters_are_marked() -> None:
    def letters(count: int) -> dict[str, object]:
        return {"projections": {"posts": ProjectionFigures(dead_letters=count)}}

    assert of(letters(1), letters(13)) == [("letter", "dead letters: 12 more of posts")]
    assert of(letters(13), letters(0)) == [("letter", "dead letters: 13 fewer of posts")]
    two, one = {"workers": {"consumer": 2}}, {"workers": {"consumer": 1}}
    assert of(two, one) == [("stop", "2 \N{RIGHTWARDS ARROW} 1 alive as consumer")]
    assert of(one, two) == [("start", "1 \N{RIGHTWARDS ARROW} 2 alive as consumer")]
    assert of({"leader": "near 1"}, {"leader": "far 2"}) == [("start", "far 2 leads")]
    assert of({"leader": "near 1"}, {}) == [("stop", "near 1 leads no longer")]
    gap = [text for _, _, text in of_points([point(0), point(5)])]
    assert gap == ["no samples any more: nobody alive", "samples again"]
    late = point(1)._replace(since=point(1).since + timedelta(seconds=20))
    assert [*of_points([point(0), late])] == [], "one or two samples may be late"


def test_the_first_sample_tells_what_there_is_unless_the_span_begins_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lives: dict[str, object] = {
        "leader": "near 1",
        "workers": {"relay": 1},
        "projections": {"posts": ProjectionFigures(dead_letters=3)},
    }
    for kept_before, first in ((False, "samples begin"), (True, "samples again")):
        monkeypatch.setattr(samples, "any_before", lambda _, kept=kept_before: kept)
        assert [found[1:] for found in begin(AXIS, [point(3, **lives), point(4)])] == [
            ("start", first),
            ("start", "1 alive as relay"),
            ("start", "near 1 leads"),
            ("letter", "dead letters: 3 of posts"),
        ]
    for known in ([point(0, **lives)], [point(2, **lives)], []):
        assert [*begin(AXIS, known)] == []


def test_one_line_tells_of_the_dead_letters_of_all_projections() -> None:
    def each(likes: int, posts: int, search: int) -> dict[str, object]:
        counts = {"likes": likes, "posts": posts, "search": search}
        return {"projections": {n: ProjectionFigures(dead_letters=c) for n, c in counts.items()}}

    assert of(each(6, 6, 1), each(0, 0, 3)) == [
        ("letter", "dead letters: 6 fewer of likes, posts; 2 more of search")
    ]


def test_dead_letters_are_no_news_after_the_read_database_was_away() -> None:
    parked: dict[str, object] = {"projections": {"posts": ProjectionFigures(dead_letters=5)}}
    assert [*of_points([point(0, **parked), point(1), point(2, **parked)])] == []


def test_lines_of_a_plot_look_different() -> None:
    css = Path(str(files("messaging") / "static/messaging/admin.css")).read_text()
    looks = re.findall(r"\.plots \.line-(\d+) {([^}]*)}", css)
    assert [int(number) for number, _ in looks] == [*range(1, STYLES)], "the first is as all paths"
    assert len({look for _, look in looks}) == len(looks)


def test_a_strip_says_what_could_not_work_without_what_differs_from_sample_to_sample() -> None:
    points = [point(m, errors=(f"consumer near 1 could not work: file {m}",)) for m in (0, 1)]
    (band,) = strips_of(AXIS, points)[-1].bands
    assert (band.level, band.title) == ("bad", "consumer near 1 could not work")
