"""Samples: how things stood, each 10 s, for as long as any worker lives. A gap is the picture of
nobody alive, or of a write database that was away.

They are kept for a day as they are, and for a week as the worst of each 5 minutes, so that no
reader has to go through more than some thousand rows. All times are the database's: hosts differ.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from django.db import IntegrityError, connections, transaction
from django.db.models import Q
from msgspec.structs import replace

from messaging.conf import write_alias
from messaging.dialect import dialect_of
from messaging.dialect.base import Statement
from messaging.monitoring import figures as figures_of
from messaging.monitoring import tallies
from messaging.monitoring.figures import Figures
from messaging.monitoring.models import Sample

FINE_S, COARSE_S = 10, 300
FINE_FOR, COARSE_FOR = timedelta(days=1), timedelta(days=7)
FINE_UP_TO = timedelta(hours=8)  # longer spans are read from the coarse ones
MAX_DELETED = 50  # in one go: if the clock leaps for a moment, nearly all stays
MAX_POINTS = 2_017  # a week, 5 minutes each, plus a partial one

CLOCK = Statement("postlog_clock", "SELECT {seconds}")


class Point(NamedTuple):
    """What lies between two moments, for a plot. Rates are None where there is no sample to count
    from: behind a gap, and at the first."""

    since: datetime
    until: datetime
    figures: Figures  # the worst of the time
    missing_s: float  # how much of the time has no sample: nobody was alive
    stored_per_s: float | None
    published_per_s: float | None
    applied_per_s: dict[str, float]  # by projection
    refused_per_min: float | None
    failed_per_min: float | None


class Row(NamedTuple):
    at: datetime
    figures: Figures


def database_time() -> datetime:
    connection = connections[write_alias()]
    with connection.cursor() as cursor:
        cursor.execute(dialect_of(connection).text(CLOCK))
        return datetime.fromtimestamp(float(cursor.fetchone()[0]), UTC)


def step_of(moment: datetime, step_s: int) -> datetime:
    """The beginning of the step that a moment is in."""
    return datetime.fromtimestamp(moment.timestamp() // step_s * step_s, UTC)


def latest() -> Row | None:
    """The newest sample, or None."""
    found = Sample.objects.filter(step_s=FINE_S).order_by("-at").first()
    return None if found is None else Row(found.at, figures_of.decode(found.figures))


def any_before(moment: datetime) -> bool:
    return Sample.objects.filter(at__lt=moment).exists()


def is_taken(moment: datetime) -> bool:
    """Whether there is a sample of the 10 s that this moment is in."""
    return Sample.objects.filter(step_s=FINE_S, at=step_of(moment, FINE_S)).exists()


def keep(moment: datetime, figures: Figures) -> bool:
    """Store a sample; False if another worker was first."""
    at, coarse_at = step_of(moment, FINE_S), step_of(moment, COARSE_S)
    try:
        with transaction.atomic(using=write_alias()):
            figures = _with_tallies(figures)
            _create(FINE_S, at, figures)
            coarse = Sample.objects.filter(step_s=COARSE_S, at=coarse_at)
            if (before := coarse.first()) is None:
                _create(COARSE_S, coarse_at, figures)
            else:
                merged = figures_of.decode(before.figures).merged(figures)
                coarse.update(published=merged.published, figures=figures_of.encode(merged))
    except IntegrityError:
        return False
    _delete_old(moment)
    return True


def _with_tallies(figures: Figures) -> Figures:
    before, counted = latest(), tallies.take_all()
    so_far = before.figures if before else Figures()
    return replace(
        figures,
        refused=so_far.refused + counted.refused,
        failed=so_far.failed + counted.failed,
        projections={
            name: replace(
                one, p50_s=counted.quantile_s(name, 0.5), p95_s=counted.quantile_s(name, 0.95)
            )
            for name, one in figures.projections.items()
        },
    )


def _create(step_s: int, at: datetime, figures: Figures) -> None:
    text = figures_of.encode(figures)
    Sample.objects.create(step_s=step_s, at=at, published=figures.published, figures=text)


def _delete_old(now: datetime) -> None:
    """Delete what is too old, and what a clock has dated ahead that was set back since: it would
    stand in the way of what is to come."""
    unwanted = (
        Q(step_s=FINE_S, at__lt=now - FINE_FOR)
        | Q(step_s=COARSE_S, at__lt=now - COARSE_FOR)
        | Q(at__gt=now + timedelta(seconds=FINE_S))
    )
    if ids := list(Sample.objects.filter(unwanted).values_list("id", flat=True)[:MAX_DELETED]):
        Sample.objects.filter(id__in=ids).delete()


def series(span: timedelta, points: int, until: datetime | None = None) -> list[Point]:
    """Read the samples of a span as at most `points` points (2 at least), the oldest first.

        series(timedelta(hours=6), 240)

    `until`: where it ends; by default now, by the database's clock. Where there is no sample there
    is no point. Of what is older than a day, and of spans above 8 hours, a point stands for 5
    minutes at least.
    """
    now = database_time()
    end = until or now
    since = end - span
    step_s = FINE_S if span <= FINE_UP_TO and since >= now - FINE_FOR else COARSE_S
    count = min(max(points, 2), MAX_POINTS) - 1  # the first and the last are cut off by the span
    width_s = max(1, math.ceil(span.total_seconds() / (count * step_s))) * step_s
    return list(_points(_rows(step_s, since, end), since, end, step_s, width_s))


def _rows(step_s: int, since: datetime, until: datetime) -> Iterator[Row]:
    """With the one before, to count from."""
    earliest = step_of(since, step_s) - timedelta(seconds=step_s)
    found = Sample.objects.filter(step_s=step_s, at__gte=earliest, at__lte=until)
    for at, text in found.order_by("at").values_list("at", "figures"):
        yield Row(at, figures_of.decode(text))


def _points(
    rows: Iterable[Row], since: datetime, until: datetime, step_s: int, width_s: int
) -> Iterator[Point]:
    step, width, before = timedelta(seconds=step_s), timedelta(seconds=width_s), None
    for begin, group in groupby(rows, lambda row: step_of(row.at, width_s)):
        merged = first = None
        for row in group:
            if row.at + step <= since:
                before = row
                continue
            first = first or row
            merged = merged.merged(row.figures) if merged else row.figures
        if merged and first:
            # Behind a gap there is nothing to count from but the point's own first sample.
            known = before if before and first.at - before.at <= 2 * step else first
            then = known.figures if known.figures is not merged else None
            yield _point(max(begin, since), min(begin + width, until), merged, then)
            before = Row(row.at, merged)


def _point(since: datetime, until: datetime, now: Figures, then: Figures | None) -> Point:
    missing_s = (until - since).total_seconds() - now.samples * FINE_S
    elapsed_s = now.taken_s - then.taken_s if then else 0.0

    def rate(last: int | None, first: int | None, unit_s: int = 1) -> float | None:
        if last is None or first is None or elapsed_s <= 0:
            return None
        return max(0, last - first) / elapsed_s * unit_s  # a log that was recreated begins at 0

    earlier = then or Figures()
    applied = {
        name: rate(one.applied, earlier.projections[name].applied)
        for name, one in now.projections.items()
        if name in earlier.projections
    }
    return Point(
        since=since,
        until=until,
        figures=now,
        missing_s=missing_s if missing_s >= 2 * FINE_S else 0.0,  # one may be late
        stored_per_s=rate(now.position, earlier.position),
        published_per_s=rate(now.published, earlier.published),
        applied_per_s={name: one for name, one in applied.items() if one is not None},
        refused_per_min=rate(now.refused, earlier.refused, 60),
        failed_per_min=rate(now.failed, earlier.failed, 60),
    )
