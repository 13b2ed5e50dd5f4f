"""Traces: which span a piece of work belongs to, and the port by which spans are recorded.

The trace in force travels as text: a trace id alone, or a W3C traceparent, which also names the
span in progress. The runtime passes it on without looking at it.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Final, Protocol

import attrs

from runtime.context import current
from runtime.envelope import Envelope

TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
NO_TRACE: Final = "0" * 32
NO_SPAN: Final = "0" * 16


@attrs.frozen
class TraceParent:
    """The W3C trace context of one span: 32 and 16 hexadecimal digits, and whether it is
    recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str | None) -> TraceParent | None:
    """None for what is no traceparent, such as a trace id alone."""
    match = TRACEPARENT.fullmatch(text) if text is not None else None
    if match is None or match[1] == NO_TRACE or match[2] == NO_SPAN:
        return None
    return TraceParent(match[1], match[2], bool(int(match[3], 16) & 1))


def trace_id_of(trace: str | None) -> str | None:
    """The trace id, as logs and people want it."""
    parent = parse_traceparent(trace)
    return parent.trace_id if parent is not None else trace


class SpanKind(Enum):
    """As OpenTelemetry has them."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work being recorded. `traceparent` is the trace in force inside of it."""

    @property
    def traceparent(self) -> str: ...

    def set(self, name: str, value: str | float | bool) -> None: ...

    def rename(self, name: str) -> None: ...

    def end(self, failure: str | None = None) -> None:
        """The work is over, in a `failure` of this kind if one is given. A second end has no
        effect."""


class Tracing(Protocol):
    """Where spans are recorded. Nothing here waits or raises."""

    def begin(self, name: str, kind: SpanKind, trace: str | None) -> Span | None:
        """A span within a trace, None where that is not recorded."""

    def begin_root(self, name: str, kind: SpanKind, trace: str | None) -> Span:
        """A span within a trace that came from outside, or of a new trace."""


@contextmanager
def span(tracing: Tracing | None, name: str, kind: SpanKind) -> Iterator[Span | None]:
    """A span within the trace in force, for the duration of the block."""
    ambient = current.get() if tracing is not None else None
    begun = tracing.begin(name, kind, ambient.trace_id) if tracing and ambient else None
    if begun is None:
        yield None
        return
    try:
        yield begun
    except BaseException as error:
        begun.end(type(error).__name__)
        raise
    begun.end()


def begin_handling(tracing: Tracing, actor: str, envelope: Envelope) -> Span | None:
    """A span for the handling of a message; what the handler sends then belongs to it."""
    name = f"{actor} {type(envelope.message).__name__}"
    begun = tracing.begin(name, SpanKind.INTERNAL, envelope.trace_id)
    if begun is not None:
        envelope.trace_id = begun.traceparent
    return begun


@contextmanager
def handling(tracing: Tracing | None, actor: str, envelopes: Sequence[Envelope]) -> Iterator[None]:
    """A span for each message that is handled in the block, where its trace is recorded."""
    if tracing is None:
        yield
        return
    spans = [begin_handling(tracing, actor, envelope) for envelope in envelopes]
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        for begun, envelope in zip(spans, envelopes, strict=True):
            if begun is not None:
                wrong = failure or envelope.error
                begun.end(type(wrong).__name__ if wrong is not None else None)
