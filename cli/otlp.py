"""Traces by OTLP over HTTP: the OpenTelemetry SDK behind the runtime's port for spans.

Imported only where an endpoint is set. Spans are handed to a thread of the SDK, which sends
them; a collector that is slow or away costs spans and never time.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import attrs
import trio
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags
from prometheus_client import CollectorRegistry, Counter

from runtime.telemetry import PREFIX
from runtime.tracing import Span, SpanKind, TraceParent, parse_traceparent

QUEUE_MAX: Final = 4_096
"""Spans that wait to be sent; beyond it the oldest are dropped."""

BATCH_MAX: Final = 512
SEND_EVERY_S: Final = 1.0
SEND_TIMEOUT_S: Final = 5
CLOSE_TIMEOUT_S: Final = 2.0
"""How long the end of the program waits for the last spans to be sent."""

TRACES_PATH: Final = "/v1/traces"

KINDS: Final = {
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.CONSUMER: trace.SpanKind.CONSUMER,
}


class TraceMetrics:
    """Outcomes: `ended`, and of those `exported` or `failed`. The rest waits, or was dropped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.spans = Counter(
            "trace_spans",
            "Recorded spans, and what became of them",
            ("outcome",),
            PREFIX,
            registry=registry,
        )


class CountingExporter(SpanExporter):
    """Counts what another exporter does; runs in the thread that sends."""

    def __init__(self, exporter: SpanExporter, spans: Counter) -> None:
        self._exporter = exporter
        self._exported = spans.labels("exported")
        self._failed = spans.labels("failed")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        counter = self._failed
        try:
            result = self._exporter.export(spans)
            if result is SpanExportResult.SUCCESS:
                counter = self._exported
        finally:
            counter.inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


@attrs.define(eq=False)
class OtelSpan:
    """A span of the SDK. See `runtime.tracing.Span`."""

    _span: trace.Span
    _ended: Counter
    traceparent: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        context = self._span.get_span_context()
        sampled = context.trace_flags.sampled
        parent = TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", sampled)
        self.traceparent = str(parent)

    def set(self, name: str, value: str | float | bool) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def end(self, failure: str | None = None) -> None:
        if not self._span.is_recording():
            return
        if failure is not None:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        self._ended.inc()


class OtelTracing:
    """See `runtime.tracing.Tracing`. Texts of errors stay out of the spans: they may be secret."""

    def __init__(self, tracer: trace.Tracer, spans: Counter) -> None:
        self._tracer = tracer
        self._ended = spans.labels("ended")

    def begin(self, name: str, kind: SpanKind, trace: str | None) -> Span | None:
        parent = parse_traceparent(trace)
        if parent is None or not parent.sampled:
            return None
        return self._begin(name, kind, parent)

    def begin_root(self, name: str, kind: SpanKind, trace: str | None) -> Span:
        return self._begin(name, kind, parse_traceparent(trace))

    def _begin(self, name: str, kind: SpanKind, parent: TraceParent | None) -> Span:
        context = Context() if parent is None else _context_of(parent)
        return OtelSpan(self._tracer.start_span(name, context, KINDS[kind]), self._ended)


def _context_of(parent: TraceParent) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    above = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags)
    return trace.set_span_in_context(NonRecordingSpan(above), Context())


def traces_url(endpoint: str) -> str:
    """The URL that spans are sent to: the path is added where the endpoint has none."""
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + TRACES_PATH


@asynccontextmanager
async def otlp_tracing(
    endpoint: str,
    sampling: float,
    spans: Counter,
    version: str,
    make_exporter: Callable[[str], SpanExporter] | None = None,
) -> AsyncIterator[OtelTracing]:
    """Traces that go to the collector at `endpoint`; of those that begin here, the share
    `sampling` is recorded. At the end what is left is sent, within `CLOSE_TIMEOUT_S`."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what fails is counted
    make = make_exporter if make_exporter is not None else _exporter
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sampling)),
        resource=Resource.create({"service.name": "loyalnest", "service.version": version}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            CountingExporter(make(traces_url(endpoint)), spans),
            max_queue_size=QUEUE_MAX,
            schedule_delay_millis=SEND_EVERY_S * 1000,
            max_export_batch_size=BATCH_MAX,
        )
    )
    try:
        yield OtelTracing(provider.get_tracer("loyalnest"), spans)
    finally:
        with trio.move_on_after(CLOSE_TIMEOUT_S) as scope:
            scope.shield = True
            await trio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


def _exporter(url: str) -> SpanExporter:
    return OTLPSpanExporter(endpoint=url, timeout=SEND_TIMEOUT_S)
