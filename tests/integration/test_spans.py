"""Traces by OpenTelemetry (messaging/monitoring/spans.py)."""

import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from messaging.checks import what_settings_ask_for_is_installed
from messaging.eventstore.models import Event
from messaging.monitoring import spans
from messaging.projections.registry import consumed
from tests.support.api import COMMANDS, Api
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.parked import created, poison
from tests.support.processes import ROOT
from tests.support.records import publish
from tests.support.relaying import publish_all
from tests.support.settings import postlog

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.start(provider)
    yield exporter
    spans.stop()
    provider.shutdown()


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"{span.parent.span_id:016x}"


def new_post(api: Api, **headers: str) -> None:
    answer = api.client.post(
        f"{COMMANDS}/new-post/", '{"message": "Hi"}', "application/json",
        headers={**api.headers, **headers},
    )  # fmt: skip
    assert answer.status_code == 201


def test_one_trace_leads_from_the_request_over_relay_and_log_to_the_row(
    database: Mode, exported: InMemorySpanExporter
) -> None:
    api = Api("alice")
    exported.clear()
    new_post(api, traceparent=TRACEPARENT)
    publish_all()
    for projection in consumed():
        consume_all(projection)
    request, *others = exported.get_finished_spans()
    assert {f"{one.context.trace_id:032x}" for one in (request, *others)} == {TRACE}
    assert (request.kind, parent_of(request)) == (SpanKind.SERVER, CALLER)
    assert request.name.startswith("POST")
    assert (request.attributes or {})["http.response.status_code"] == 201
    own = f"{request.context.span_id:016x}"
    assert Event.objects.get().traceparent == f"00-{TRACE}-{own}-01"
    assert {parent_of(one) for one in others} == {own}
    (published, *applied) = others
    assert (published.name, published.kind) == ("publish posts.post_created.v1", SpanKind.PRODUCER)
    assert (published.attributes or {})["messaging.kafka.offset"] == 0
    assert {one.kind for one in applied} == {SpanKind.CONSUMER}
    took_in = {(one.attributes or {})["postlog.projection"] for one in applied}
    assert {"posts", "history"} <= took_in
    for one in others:
        assert (one.start_time or 0) <= (one.end_time or 0)


def test_what_no_sampler_has_chosen_becomes_no_span(sqlite: Mode) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.start(provider)
    try:
        new_post(Api("alice"), traceparent=TRACEPARENT)
        publish_all()
        consume_all()
    finally:
        spans.stop()
    assert exporter.get_finished_spans() == ()
    assert Event.objects.get().traceparent.endswith("-00")


def test_an_event_that_is_parked_is_an_error_in_its_trace(
    sqlite: Mode, exported: InMemorySpanExporter
) -> None:
    post = uuid4()
    bad = poison(post, 2)
    value = bad.value.replace(b'"traceparent":""', b'"traceparent":"%s"' % TRACEPARENT.encode())
    publish(created(post), bad._replace(value=value))
    consume_all()
    (span,) = exported.get_finished_spans()
    assert span.name == "park posts.comment_updated.v1"
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["postlog.code"] == "poison"


PROGRAM = """
import sys
sys.modules["opentelemetry"] = None  # as where it is not installed
sys.modules["prometheus_client"] = None
import django
django.setup()
from django.test import Client
from messaging.management.commands import runconsumer, runrelay
assert Client().get("/health/live").status_code == 200
print(*(name for name in sys.modules if name.startswith(("opentelemetry.", "prometheus_client."))))
"""


def test_nothing_of_it_is_imported_where_it_is_not_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "on"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_traces_without_opentelemetry_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert what_settings_ask_for_is_installed() == []
    with postlog(TRACES=True):
        (fault,) = what_settings_ask_for_is_installed()
    assert fault.id == "postlog.E011"
    assert fault.hint is not None
    assert "postlog[otel]" in fault.hint
