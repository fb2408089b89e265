"""`/metrics` for Prometheus, made from the newest sample, so that every web process says the same.

Whoever may read it has POSTLOG["METRICS_TOKEN"]; without one there is no such page.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from hmac import compare_digest
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from messaging import conf
from messaging.monitoring import samples
from messaging.monitoring.figures import Figures, ProjectionFigures
from messaging.monitoring.samples import Row

PATH = "/metrics"
STALE_S = 60.0  # what stood then says nothing of now: only what counts up is still shown

View = Callable[[HttpRequest], HttpResponse]
Values = list[tuple[list[str], float | None]]  # values of the labels, and the metric's

# Names, what they mean, and how they come from a sample. Those in COUNTERS end in _total.
COUNTERS: dict[str, tuple[str, Callable[[Figures], float | None]]] = {
    "postlog_stored_events": ("The position of the last stored event.", lambda f: f.position),
    "postlog_published_records": ("Records in the log.", lambda f: f.published),
    "postlog_refused_answers": ("Answers 4xx but 401 and 404.", lambda f: f.refused),
    "postlog_failed_answers": ("Answers 5xx.", lambda f: f.failed),
}
GAUGES: dict[str, tuple[str, Callable[[Figures], float]]] = {
    "postlog_outbox_events": ("Events that wait for the relay.", lambda f: f.outbox),
    "postlog_outbox_oldest_seconds": ("Age of the oldest of them.", lambda f: f.outbox_age_s),
    "postlog_relay_active": ("Whether a relay publishes.", lambda f: bool(f.leader)),
    "postlog_max_lag_records": ("The limit, MAX_LAG.", lambda _: conf.postlog().max_lag),
}
OF_A_PROJECTION: dict[str, tuple[str, Callable[[ProjectionFigures], float | None]]] = {
    "postlog_lag_records": ("Records that are not applied yet.", lambda p: p.lag),
    "postlog_lag_seconds": ("How long the oldest of them waits.", lambda p: p.lag_s),
    "postlog_dead_letters": ("Events that could not be applied.", lambda p: p.dead_letters),
    "postlog_halted_partitions": ("Partitions that are halted.", lambda p: len(p.halted)),
}


def metrics(get_response: View) -> View:
    """Middleware, early, as that of the probes: Prometheus asks each process by its address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = conf.postlog().metrics_token if request.path_info == PATH else ""
        return answer(request, token) if token else get_response(request)

    return middleware


def answer(request: HttpRequest, token: str) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    given = request.headers.get("Authorization", "")
    if not compare_digest(given.encode(), f"Bearer {token}".encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    try:
        found, now = samples.latest(), samples.database_time()
    except (DatabaseError, InterfaceError):
        return HttpResponse("The write database does not answer.\n", "text/plain", status=503)
    registry = CollectorRegistry()
    registry.register(_Collector(found, now))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type, headers={"Cache-Control": "no-store"})


class _Collector:
    def __init__(self, row: Row | None, now: datetime) -> None:
        self._figures = row.figures if row else None
        self._age_s = now.timestamp() - row.figures.taken_s if row else float("inf")

    def describe(self) -> list[Any]:
        return []  # so that registering does not collect

    def collect(self) -> Iterator[Any]:
        yield _gauge("postlog_sample_age_seconds", SAMPLE_AGE, [], [([], self._age_s)])
        figures = self._figures
        if figures is None:
            return
        for name, (text, count) in COUNTERS.items():
            yield _counter(name, text, [], [([], count(figures))])
        applied: Values = [([name], one.applied) for name, one in figures.projections.items()]
        yield _counter("postlog_applied_records", APPLIED, ["projection"], applied)
        if self._age_s <= STALE_S:
            yield from _gauges(figures)


SAMPLE_AGE = "Age of the figures below: if it grows, no worker is alive."
APPLIED = "Records that a projection has taken."
VISIBLE = "From stored to applied, of what was applied within the sample."
WORKERS = "Workers that are alive; all but one relay stand by."


def _gauges(figures: Figures) -> Iterator[Any]:
    for name, (text, value) in GAUGES.items():
        yield _gauge(name, text, [], [([], value(figures))])
    of = figures.projections.items()
    for name, (text, value_of) in OF_A_PROJECTION.items():
        yield _gauge(name, text, ["projection"], [([key], value_of(one)) for key, one in of])
    quantiles: Values = [
        ([key, share], seconds)
        for key, one in of
        for share, seconds in (("0.5", one.p50_s), ("0.95", one.p95_s))
    ]
    yield _gauge("postlog_visible_seconds", VISIBLE, ["projection", "quantile"], quantiles)
    workers: Values = [([role], count) for role, count in figures.workers.items()]
    yield _gauge("postlog_workers", WORKERS, ["role"], workers)


def _gauge(name: str, text: str, labels: list[str], values: Values) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _counter(name: str, text: str, labels: list[str], values: Values) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: Any, values: Values) -> Any:
    for labels, value in values:
        if value is not None:  # what did not answer is left out
            family.add_metric(labels, value)
    return family
