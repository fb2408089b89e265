"""Samples: how things stood, each 10 s (messaging/monitoring/samples.py)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from threading import Event as Flag
from typing import NoReturn

import pytest
from django.db import OperationalError, connections

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.exceptions import BusError
from messaging.message import Context
from messaging.monitoring import samples, sampling
from messaging.monitoring.figures import Figures, ProjectionFigures
from messaging.monitoring.models import Sample, Tally
from messaging.monitoring.samples import COARSE_S, FINE_S, database_time, keep, series, step_of
from messaging.monitoring.tallies import Counter
from messaging.projections.models import Checkpoint
from messaging.signals import applied
from messaging.workers.heartbeats import Heartbeats
from messaging.workers.models import Heartbeat
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.one_database import one_database
from tests.support.relaying import publish_all

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def figures(at: datetime, lag: int = 0, **values: int) -> Figures:
    projection = ProjectionFigures(lag=lag, applied=values.get("published", 0) - lag)
    return Figures(taken_s=at.timestamp(), projections={"posts": projection}, **values)


def recent(**ago: float) -> datetime:
    """A moment at which both a fine and a coarse step begin."""
    return step_of(database_time() - timedelta(**ago), COARSE_S)


def at_once(*works: Callable[[], object]) -> list[object]:
    barrier, found = Barrier(len(works)), list[object]()

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        found.append(work())
        connections.close_all()

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_sample_tells_how_far_events_have_come(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    mediator.send(NewPost(message="first"), Context(actor="alice"))
    publish_all()
    consume_all()
    mediator.send(NewPost(message="second"), Context(actor="alice"))
    now = database_time()
    assert sampling.take(now + SECOND)
    row = samples.latest()
    assert row is not None
    found = row.figures
    assert (found.position, found.outbox, found.published) == (2, 1, 1)
    assert 0 < found.outbox_age_s < 60
    assert (found.projections["posts"].lag, found.projections["posts"].applied) == (0, 1)
    assert (found.projections["likes"].lag, found.projections["likes"].applied) == (1, 0)
    assert found.workers["consumer"] == 0
    monkeypatch.delattr(sampling, "measure")
    assert not sampling.take(now + SECOND), "it is taken, and nothing is measured"


def test_of_two_workers_at_once_one_writes_the_sample(database: Mode) -> None:
    now = recent(minutes=10)
    wrote = at_once(*[lambda: keep(now, figures(now, position=1))] * 4)
    assert sorted(wrote, key=bool) == [False, False, False, True]
    assert sorted(Sample.objects.values_list("step_s", flat=True)) == [FINE_S, COARSE_S]
    (point,) = series(10 * SECOND, 10, until=now + 10 * SECOND)
    assert point.figures.samples == 1


def test_a_span_is_read_as_so_many_points_with_the_worst_of_each(database: Mode) -> None:
    start = recent(hours=1)
    for n in range(60):
        at = start + n * FINE_S * SECOND
        lag = 500 if n == 30 else 0
        Tally.objects.create(counts='{"refused": 1}')
        keep(at, figures(at, lag, position=n * 20, published=n * 20))
    end = start + 600 * SECOND
    points = series(end - start, 11, until=end)
    assert len(points) == 10
    assert [p.figures.projections["posts"].lag for p in points] == [0, 0, 0, 0, 0, 500, 0, 0, 0, 0]
    assert {p.stored_per_s for p in points} == {2.0}, "of the first from its own first sample on"
    assert {p.published_per_s for p in points} == {2.0}
    assert points[-1].applied_per_s == {"posts": 2.0}
    assert {p.refused_per_min for p in points[1:]} == {6.0}
    assert not any(p.missing_s for p in points)
    (one,) = [p for p in series(DAY, 300, until=end) if p.since >= start + COARSE_S * SECOND]
    assert (one.stored_per_s, one.figures.projections["posts"].lag) == (2.0, 500)


def test_where_nobody_was_alive_there_is_no_point_and_no_rate(sqlite: Mode) -> None:
    start = step_of(database_time() - 2 * HOUR, 1_200)  # where a step of any width begins
    moments = [start + n * 10 * SECOND for n in (0, 1, 30, 31)]
    for n, at in enumerate(moments):
        keep(at, figures(at, position=100 * n))
    found = series(400 * SECOND, 100, until=start + 400 * SECOND)
    assert [p.since for p in found] == moments
    assert [p.stored_per_s for p in found] == [None, 10.0, None, 10.0]
    (whole,) = series(600 * SECOND, 2, until=start + 600 * SECOND)
    assert whole.missing_s == 560
    assert series(DAY, 100, until=start - DAY) == [], "an empty week is no error"


def test_a_clock_that_was_set_back_stops_no_samples(database: Mode) -> None:
    now = recent(minutes=30)
    ahead = now + HOUR
    for n in range(3):
        keep(ahead + n * 10 * SECOND, figures(ahead, position=7, published=7))
    assert keep(now, figures(now, position=8))
    assert not Sample.objects.filter(at__gt=now).exists(), "nothing stands in the way"
    assert keep(now + 10 * SECOND, figures(now - HOUR, position=3))
    assert [p.stored_per_s for p in series(HOUR, 400, until=now + 20 * SECOND)] == [None, None]


def test_samples_are_kept_for_a_day_and_the_worst_of_each_5_minutes_for_a_week(
    sqlite: Mode,
) -> None:
    now = recent(minutes=10)
    for age in (timedelta(0), 2 * DAY, 8 * DAY):
        at = now - age
        for step_s in (FINE_S, COARSE_S):
            Sample.objects.create(step_s=step_s, at=at, figures="{}")
    keep(now + 10 * SECOND, figures(now))
    kept = Sample.objects.exclude(at__gte=now).values_list("step_s", "at")
    assert list(kept) == [(COARSE_S, now - 2 * DAY)]


def test_lag_is_in_seconds_too(database: Mode) -> None:
    start = recent(minutes=20)
    for n in range(10):
        at = start + n * 10 * SECOND
        keep(at, figures(at, published=100 * n))
    now = start + 100 * SECOND
    assert sampling.behind_s(449, 1_000, now) == pytest.approx(55)
    assert sampling.behind_s(949, 1_000, now) == pytest.approx(5)
    assert sampling.behind_s(999, 1_000, now) == pytest.approx(0), "it came at the latest now"
    assert sampling.behind_s(900, 900, now) == pytest.approx(0)
    Sample.objects.filter(at__lt=start + 50 * SECOND).delete()
    assert sampling.behind_s(100, 1_000, now) == pytest.approx(50), "since there are samples"


def test_a_sample_that_fails_harms_nothing(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [OperationalError("away"), RuntimeError("a mistake")]

    def fail(_: object) -> Figures:
        raise errors.pop(0)

    monkeypatch.setattr(sampling, "measure", fail)
    while errors:
        assert sampling.Sampler().try_once() == FINE_S
    (line,) = [one for one in caplog.records if one.name == "postlog.samples"]
    assert "a mistake" in line.message, "of a database that is away the others speak"
    monkeypatch.undo()
    assert 0 < sampling.Sampler().try_once() <= FINE_S + 1
    assert samples.latest() is not None


def test_without_the_read_database_the_rest_is_sampled(sqlite: Mode) -> None:
    mediator.send(NewPost(message="first"), Context(actor="alice"))
    with connections["read"].cursor() as cursor:
        cursor.execute(f"DROP TABLE {Checkpoint._meta.db_table}")
    found = sampling.measure(database_time())
    assert (found.position, found.outbox, found.projections) == (1, 1, {})
    error = found.errors[-1]
    assert error.startswith("the read database did not answer: no such table")


def test_a_sample_says_who_could_not_work_and_why(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {"relay": "the broker is away", "consumer": "posts: no space left " + "x" * 500}
    for role, error in errors.items():
        Heartbeats({role: lambda: True}, {role: lambda error=error: error})._beat()

    def away(_: object) -> NoReturn:
        raise BusError("no broker answers")

    monkeypatch.setattr(type(current_bus()), "identity", away)
    log, consumer, relay = sampling.measure(database_time()).errors
    assert log == "the log did not answer: no broker answers"
    name = Heartbeat.objects.values_list("process", flat=True)[0]
    assert consumer.startswith(f"consumer {name} could not work: posts: no space left")
    assert len(consumer) <= 200
    assert relay == f"relay {name} could not work: the broker is away"


def test_with_one_database_for_all_samples_are_as_with_two(database: Mode) -> None:
    with one_database():
        mediator.send(NewPost(message="first"), Context(actor="alice"))
        publish_all()
        consume_all()
        assert sampling.take(database_time())
        row = samples.latest()
    assert row is not None
    assert (row.figures.position, row.figures.projections["posts"].applied) == (1, 1)


def test_of_several_samples_the_worst_is_kept_and_what_counts_up_is_the_last() -> None:
    bad = ProjectionFigures(lag=9, lag_s=8.0, applied=1, p95_s=7.0, dead_letters=6, halted=(2,))
    good = ProjectionFigures(applied=10, p50_s=0.1, p95_s=0.2, halted=(1,))
    one = Figures(
        taken_s=1.0, position=1, outbox=5, outbox_age_s=4.0, published=1,
        projections={"posts": bad, "gone": good}, workers={"relay": 2, "consumer": 1}, leader="a",
        errors=("x",),
    )  # fmt: skip
    two = Figures(
        taken_s=2.0, position=10, projections={"posts": good}, workers={"relay": 1}, leader="b",
        refused=3, failed=2, errors=("x", "y"),
    )  # fmt: skip
    worst = ProjectionFigures(
        lag=9, lag_s=8.0, applied=10, p50_s=0.1, p95_s=7.0, dead_letters=6, halted=(1, 2)
    )
    assert one.merged(two) == Figures(
        taken_s=2.0, position=10, outbox=5, outbox_age_s=4.0, published=1,
        projections={"posts": worst, "gone": good}, workers={"relay": 1, "consumer": 0},
        leader="b", refused=3, failed=2, errors=("x", "y"), samples=2,
    )  # fmt: skip


def test_a_worker_writes_down_what_its_own_process_has_counted(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter()
    monkeypatch.setattr(sampling, "counter", counter)
    stopped = Flag()
    stopped.set()
    sampling.Sampler().run(stopped)
    try:
        mediator.send(NewPost(message="first"), Context(actor="alice"))
        publish_all()
        consume_all()
    finally:
        assert applied.disconnect(counter.applied)
    sampling.Sampler().try_once()
    row = samples.latest()
    assert row is not None
    assert row.figures.projections["posts"].p95_s is not None


def test_the_clock_is_the_databases(database: Mode) -> None:
    assert abs(database_time() - datetime.now(UTC)) < timedelta(seconds=30)
