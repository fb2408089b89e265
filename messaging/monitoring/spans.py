"""Traces by OpenTelemetry, where POSTLOG["TRACES"] asks for them (the extra `otel`).

One trace leads from the request over the relay and the log to the rows: the request's span stands
in the `traceparent` that every event carries, and what relay and consumer do with an event is a
child of it. Only what the request's sampler has chosen becomes spans. Where they go is said by
the standard's variables, such as OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_TRACES_SAMPLER.

Nothing of OpenTelemetry is imported before `start`.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from messaging import codec, conf, signals
from messaging.bus.base import Message, Place
from messaging.http import TRACEPARENT
from messaging.message import Envelope
from messaging.projections.consuming.dead_letters import ParkedEvent
from messaging.projections.registry import Projection

if TYPE_CHECKING:
    from opentelemetry.trace import SpanKind, Tracer, TracerProvider

HEADER = "HTTP_TRACEPARENT"
SAMPLED = "01", "03"  # flags

View = Callable[[HttpRequest], HttpResponse]


class Spans:
    """Receives signals, and makes a span of each event whose trace is sampled."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.tracer: Tracer = provider.get_tracer("postlog")
        self._kinds, self._failed = SpanKind, Status(StatusCode.ERROR)
        self._propagator = TraceContextTextMapPropagator()
        self.receivers = (
            (signals.published, self.published),
            (signals.applied, self.applied),
            (signals.parked, self.parked),
        )

    def published(
        self, sender: object, messages: Sequence[Message], places: Sequence[Place], took_s: float,
        **_: object,
    ) -> None:  # fmt: skip
        for message, (partition, offset) in zip(messages, places, strict=True):
            envelope, _data = codec.decode_envelope(message.value)
            where = {
                "messaging.destination.partition.id": str(partition),
                "messaging.kafka.offset": offset,
                "messaging.destination.name": conf.postlog().kafka.topic,
            }
            self._span("publish", envelope, self._kinds.PRODUCER, took_s, where)

    def applied(
        self, sender: Projection, events: Sequence[Envelope], took_s: float, **_: object
    ) -> None:
        for envelope in events:
            where = {"postlog.projection": sender.name}
            self._span("apply", envelope, self._kinds.CONSUMER, took_s, where)

    def parked(self, sender: Projection, events: Sequence[ParkedEvent], **_: object) -> None:
        for one in events:
            if one.envelope is not None:
                where = {"postlog.projection": sender.name, "postlog.code": one.code}
                self._span("park", one.envelope, self._kinds.CONSUMER, 0.0, where, failed=True)

    def _span(
        self, what: str, of: Envelope, kind: "SpanKind", took_s: float, attributes: dict[str, Any],
        *, failed: bool = False,
    ) -> None:  # fmt: skip
        if not of.traceparent.endswith(SAMPLED):
            return
        now = time.time_ns()
        span = self.tracer.start_span(
            f"{what} {of.type}",
            context=self._propagator.extract({TRACEPARENT: of.traceparent}),
            kind=kind,
            start_time=now - int(took_s * 1e9),
            attributes={
                **attributes,
                "messaging.system": "postlog",
                "messaging.message.id": str(of.event_id),
                "postlog.stream": str(of.stream_id),
                "postlog.version": of.version,
            },
        )
        if failed:
            span.set_status(self._failed)
        span.end(now)

    def request(self, request: HttpRequest, get_response: View) -> HttpResponse:
        parent = self._propagator.extract({TRACEPARENT: request.META.get(HEADER, "")})
        attributes = {"http.request.method": request.method or "", "url.path": request.path}
        kind, method = self._kinds.SERVER, request.method or "HTTP"
        with self.tracer.start_as_current_span(
            method, context=parent, kind=kind, attributes=attributes
        ) as span:
            headers: dict[str, str] = {}
            self._propagator.inject(headers)
            if TRACEPARENT in headers:  # what the request leads to hangs below this span
                request.META[HEADER] = headers[TRACEPARENT]
            answer = get_response(request)
            if request.resolver_match is not None:
                span.update_name(f"{method} {request.resolver_match.route}")
            span.set_attribute("http.response.status_code", answer.status_code)
            if answer.status_code >= 500:
                span.set_status(self._failed)
        return answer


_spans: Spans | None = None


def start(provider: "TracerProvider | None" = None) -> Spans:
    """Begin to make spans in this process. Without a provider, by the one that is set; if none is,
    by one that sends them where the OTEL_ variables say."""
    global _spans
    _spans = Spans(provider or _provider())
    for signal, receiver in _spans.receivers:
        signal.connect(receiver)
    return _spans


def stop() -> None:
    global _spans
    for signal, receiver in _spans.receivers if _spans else ():
        signal.disconnect(receiver)
    _spans = None


def _provider() -> "TracerProvider":
    from opentelemetry import trace

    found = trace.get_tracer_provider()
    if isinstance(found, trace.ProxyTracerProvider):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        return provider
    return found


def request_spans(get_response: View) -> View:
    """Middleware, early: a span for each request, from which its events' traces lead on."""
    spans = _spans
    if spans is None:
        raise MiddlewareNotUsed("no traces are asked for")
    return lambda request: spans.request(request, get_response)
