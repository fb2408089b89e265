"""What it costs to draw a week of samples: the console's plots, in CPU of the web process."""

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from benchmarks.measure import Result

BUDGET_MS = 100.0
ROUNDS = 7
PROJECTIONS = ("history", "likes", "people", "posts")


def results() -> Iterator[Result]:
    a_week_of_samples()
    from django.template.loader import render_to_string

    from messaging.console import plots
    from messaging.console.axis import SPANS

    def draw() -> float:
        begun = time.process_time()
        found = {"picture": plots.picture(SPANS[-1])}
        render_to_string("admin/messaging/plots.html", found)
        return (time.process_time() - begun) * 1_000

    draw()  # the first one compiles the template
    yield Result(
        name="plots of 7 days",
        workload=f"{len(PROJECTIONS)} projections, a row for 5 minutes, {plots.POINTS} points",
        ours=statistics.median(draw() for _ in range(ROUNDS)),
        limit=BUDGET_MS,
        against="the budget",
        unit="ms of CPU",
        target=1.0,
        higher_is_better=False,
    )


def a_week_of_samples() -> None:
    from messaging.monitoring import samples
    from messaging.monitoring.figures import Figures, ProjectionFigures, encode
    from messaging.monitoring.models import Sample

    now = samples.step_of(samples.database_time(), samples.COARSE_S)
    rows = []
    for number in range(7 * 86_400 // samples.COARSE_S):
        at = now - timedelta(days=7) + number * timedelta(seconds=samples.COARSE_S)
        one = ProjectionFigures(
            lag=number % 900, lag_s=0.4, applied=6_000 * number, p50_s=0.05, p95_s=0.3
        )
        figures = Figures(
            taken_s=at.timestamp(), position=6_000 * number, outbox=number % 7, outbox_age_s=0.2,
            published=6_000 * number, projections=dict.fromkeys(PROJECTIONS, one),
            workers={"relay": 2, "consumer": 2}, leader="near 1", refused=number, failed=3,
            samples=30,
        )  # fmt: skip
        rows.append(Sample(step_s=samples.COARSE_S, at=at, figures=encode(figures)))
    Sample.objects.bulk_create(rows, batch_size=500)
