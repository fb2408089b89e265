"""`/metrics`, for Prometheus (messaging/monitoring/metrics.py)."""

import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from commands_app.commands import NewPost
from messaging import mediator
from messaging.checks import what_settings_ask_for_is_installed
from messaging.conf import faults
from messaging.message import Context
from messaging.monitoring import samples, sampling, tallies
from messaging.monitoring.models import Sample, Tally
from messaging.monitoring.tallies import Counter, Counts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all
from tests.support.settings import postlog

TOKEN = "a-token-of-this-test"
SECOND = timedelta(seconds=1)


@pytest.fixture
def token() -> Iterator[None]:
    with postlog(METRICS_TOKEN=TOKEN):
        yield


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.content
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_strangers_read_no_metrics(sqlite: Mode) -> None:
    client = Client(headers={"Host": "10.1.2.3"})
    assert Client().get("/metrics").status_code == 404, "no token, no page"
    with postlog(METRICS_TOKEN=TOKEN):
        for given in ("", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
            refused = client.get("/metrics", headers={"Authorization": given})
            assert (refused.status_code, refused.content) == (401, b""), given
            assert refused["WWW-Authenticate"] == "Bearer"
        scrape(client)
        assert client.post("/metrics").status_code == 405
    with postlog(METRICS_TOKEN="short"):
        (fault,) = faults()
    assert 'POSTLOG["METRICS_TOKEN"]' in fault.setting
    assert "short" not in str(fault)


def test_they_say_what_the_newest_sample_says(database: Mode, token: None) -> None:
    assert scrape(Client()) == {("postlog_sample_age_seconds",): float("inf")}
    mediator.send(NewPost(message="first"), Context(actor="alice"))
    publish_all()
    consume_all()
    mediator.send(NewPost(message="second"), Context(actor="alice"))
    now = samples.database_time()
    samples.keep(now, sampling.measure(now + SECOND))
    found = scrape(Client())
    assert -1 <= found["postlog_sample_age_seconds",] < 30
    assert found["postlog_stored_events_total",] == 2
    assert found["postlog_published_records_total",] == 1
    assert found["postlog_outbox_events",] == 1
    assert found["postlog_outbox_oldest_seconds",] > 0
    assert found["postlog_applied_records_total", "posts"] == 1
    assert found["postlog_lag_records", "posts"] == 0
    assert found["postlog_lag_records", "likes"] == 1
    assert found["postlog_relay_active",] == 0
    assert found["postlog_workers", "consumer"] == 0
    assert found["postlog_max_lag_records",] == 10_000


def test_where_nobody_is_alive_only_the_age_and_what_counts_up_are_shown(
    sqlite: Mode, token: None
) -> None:
    then = samples.database_time() - 100 * SECOND
    samples.keep(then, replace(sampling.measure(then), position=7))
    found = scrape(Client())
    assert found["postlog_sample_age_seconds",] > 99
    assert found["postlog_stored_events_total",] == 7
    assert ("postlog_outbox_events",) not in found


def test_a_write_database_that_is_away_is_said_in_a_line(sqlite: Mode, token: None) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(f"DROP TABLE {Sample._meta.db_table}")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = Client().get("/metrics", headers=headers)
    assert (answer.status_code, answer.text) == (503, "The write database does not answer.\n")


def test_what_web_processes_refuse_and_fail_to_do_is_counted_in_samples(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    web, other = Counter(), Counter()
    monkeypatch.setattr(tallies, "counter", web)
    client = Client(raise_request_exception=False)
    assert client.get("/nothing-here").status_code == 404
    assert client.post("/api/v1/commands/new-post/", {"message": 1}).status_code == 401
    web.flush()
    assert not Tally.objects.exists(), "a crawler, and a browser without a session"
    bad = {"Idempotency-Key": "none", "Content-Type": "application/json"}
    assert client.get("/api/v1/queries/find-post-by-id/?post_id=x", headers=bad).status_code == 400
    web.answered(503)
    for one in (web, other):
        one.answered(429)
        one.flush()
    now = samples.database_time() - 60 * SECOND
    samples.keep(now, sampling.measure(now))
    row = samples.latest()
    assert row is not None
    assert (row.figures.refused, row.figures.failed) == (3, 1)
    assert not Tally.objects.exists()
    web.answered(429)
    web.flush()
    samples.keep(now + 10 * SECOND, sampling.measure(now + 10 * SECOND))
    (point,) = samples.series(10 * SECOND, 1, until=samples.step_of(now, 10) + 20 * SECOND)
    assert point.refused_per_min == pytest.approx(6)
    assert point.failed_per_min == 0


def test_what_cannot_be_written_down_is_kept_and_bounded(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = Counter()
    with connections["default"].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {Tally._meta.db_table} RENAME TO elsewhere")
    for _ in range(3):
        web.answered(500)
        with pytest.raises(Exception, match="no such table"):
            web.flush()
    with connections["default"].cursor() as cursor:
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {Tally._meta.db_table}")
    web.flush()
    assert tallies.take_all() == Counts(failed=3)


def test_from_stored_to_applied_is_measured_and_sampled(
    database: Mode, monkeypatch: pytest.MonkeyPatch, token: None
) -> None:
    counter = Counter()
    sampling.applied.connect(counter.applied)
    try:
        for number in range(100):
            mediator.send(NewPost(message=str(number)), Context(actor="alice"))
        publish_all()
        consume_all()
    finally:
        sampling.applied.disconnect(counter.applied)
    counter.flush()
    now = samples.database_time()
    samples.keep(now, sampling.measure(now))
    found = scrape(Client())
    p50 = found["postlog_visible_seconds", "posts", "0.5"]
    assert 0.001 <= p50 <= found["postlog_visible_seconds", "posts", "0.95"] < 60
    assert ("postlog_visible_seconds", "likes", "0.5") not in found, "nothing was applied"


def test_quantiles_are_those_of_the_events_within_a_fifth() -> None:
    counts = Counts()
    for ms in range(1, 1_001):
        counts.add(Counts(delays={"posts": {tallies.bucket_of(ms / 1_000): 1}}))
    assert counts.quantile_s("posts", 0.5) == pytest.approx(0.5, rel=0.2)
    assert counts.quantile_s("posts", 0.95) == pytest.approx(0.95, rel=0.2)
    assert counts.quantile_s("others", 0.5) is None
    assert tallies.bucket_of(-5.0) == 0, "a host's clock is ahead"
    assert tallies.bucket_of(10.0**12) == tallies.BUCKETS, "it has leapt"


def test_a_token_without_the_client_of_prometheus_is_a_fault(
    token: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert what_settings_ask_for_is_installed() == []
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    (fault,) = what_settings_ask_for_is_installed()
    assert fault.id == "postlog.E011"
    assert "METRICS_TOKEN" in fault.msg
