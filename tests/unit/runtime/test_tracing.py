"""What work inherits of the request that led to it: its trace, and nothing of its log context."""

from typing import Any

import attrs
import pytest
import structlog
import trio

from runtime import (
    Actor,
    ActorSystem,
    Call,
    ChildSpec,
    Entities,
    Entity,
    Supervisor,
    Workers,
    request_context,
)
from runtime.context import current_trace_id
from runtime.ports import seeded_ports
from runtime.tracing import Span, SpanKind, TraceParent, parse_traceparent, span, trace_id_of
from tests.unit.runtime.helpers import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@attrs.define
class Recorded:
    """A span that remembers what was done to it."""

    name: str
    parent: str | None
    traceparent: str
    ended: int = 0
    failure: str | None = None

    def set(self, name: str, value: str | float | bool) -> None:
        pass

    def rename(self, name: str) -> None:
        self.name = name

    def end(self, failure: str | None = None) -> None:
        self.ended += 1
        self.failure = failure


@attrs.define
class Recorder:
    """Records every span of sampled traces."""

    spans: list[Recorded] = attrs.field(factory=list)

    def begin(self, name: str, kind: SpanKind, trace: str | None) -> Span | None:
        parent = parse_traceparent(trace)
        if parent is None or not parent.sampled:
            return None
        return self.begin_root(name, kind, trace)

    def begin_root(self, name: str, kind: SpanKind, trace: str | None) -> Span:
        number = len(self.spans) + 1
        made = Recorded(name, trace, str(TraceParent(TRACE, f"{number:016x}", sampled=True)))
        self.spans.append(made)
        return made

    def tree(self) -> dict[str, str | None]:
        """The name of each span's parent."""
        names = {each.traceparent: each.name for each in self.spans}
        return {each.name: names.get(each.parent or "", each.parent) for each in self.spans}


@attrs.frozen
class Look(Call[tuple[str | None, dict[str, Any]]]):
    """Answered with the trace and the log context there."""


@attrs.frozen
class Pass(Call[Any]):
    """Passed on to another actor."""

    to: str


@attrs.frozen
class Fail(Call[None]):
    pass


def seen() -> tuple[str | None, dict[str, Any]]:
    return current_trace_id(), structlog.contextvars.get_contextvars()


class Looking:
    """What the actors of these tests do."""

    system: ActorSystem

    async def handle(self, message: Any) -> object:
        match message:
            case Look():
                return seen()
            case Pass():
                return await self.system.ref(message.to).ask(Look())
            case Fail():
                raise OSError("no")
        raise AssertionError(message)


class Plain(Looking, Actor):
    passes_on = (OSError,)

    async def receive(self, message: Any) -> object:
        return await self.handle(message)


class Pool(Looking, Workers):
    async def receive(self, message: Any) -> object:
        return await self.handle(message)


class Batched(Actor):
    batch_max = 8

    async def receive_batch(self, batch: Any) -> None:
        for envelope in batch:
            envelope.reply(seen())


class Spawning(Entity):
    child_tasks = True

    async def started(self) -> None:
        self.at_start = seen()

    async def receive(self, message: Any) -> object:
        found: list[Any] = [self.at_start, seen()]
        done = trio.Event()

        async def child() -> None:
            found.append(seen())
            done.set()

        self.start_task(child)
        await done.wait()
        return found


def system_of(recorder: Recorder | None) -> tuple[ActorSystem, ChildSpec]:
    children = (
        ChildSpec("a", Plain, name="a"),
        ChildSpec("b", Plain, name="b"),
        ChildSpec("pool", Pool, name="pool"),
        ChildSpec("batched", Batched, name="batched"),
        ChildSpec("shops", lambda: Entities("shops", lambda _key: Spawning()), name="shops"),
    )
    root = ChildSpec("root", lambda: Supervisor(children), name="root")
    return ActorSystem(seeded_ports(1, START), tracing=recorder), root


async def test_who_is_started_by_a_request_keeps_its_trace_and_not_its_log_context() -> None:
    system, root = system_of(None)
    async with system.run(root):
        with (
            structlog.contextvars.bound_contextvars(merchant="flora"),
            request_context(trace_id="req_1"),
        ):
            found: Any = await system.entities("shops").ref("x").ask(Look())
            assert await system.ref("a").ask(Look()) == ("req_1", {})
        at_start, inside, child = found
        assert at_start == (None, {})
        assert inside == ("req_1", {})
        assert child == ("req_1", {})
        assert await system.ref("a").ask(Look()) == (None, {})


async def test_without_anybody_to_record_traces_travel_as_they_came() -> None:
    system, root = system_of(None)
    async with system.run(root):
        with request_context(trace_id=PARENT):
            for name in ("a", "pool", "batched"):
                assert (await system.ref(name).ask(Look()))[0] == PARENT
            assert (await system.ref("a").ask(Pass("b")))[0] == PARENT


@pytest.mark.parametrize("name", ["a", "pool", "batched"])
async def test_each_message_is_handled_in_a_span_of_its_own(name: str) -> None:
    recorder = Recorder()
    system, root = system_of(recorder)
    async with system.run(root):
        with request_context(trace_id=PARENT):
            inside, _ = await system.ref(name).ask(Look())
            await system.ref(name).ask(Look())
    first, second = recorder.spans
    assert (first.parent, second.parent) == (PARENT, PARENT)
    assert inside == first.traceparent
    assert (first.ended, second.ended, first.failure) == (1, 1, None)


async def test_spans_of_what_handlers_ask_lie_inside_of_theirs() -> None:
    recorder = Recorder()
    system, root = system_of(recorder)
    async with system.run(root):
        with request_context(trace_id=PARENT):
            await system.ref("pool").ask(Pass("a"))
    assert recorder.tree() == {"Pool Pass": PARENT, "Plain Look": "Pool Pass"}


async def test_a_handler_that_fails_ends_its_span_as_failed() -> None:
    recorder = Recorder()
    system, root = system_of(recorder)
    async with system.run(root):
        with request_context(trace_id=PARENT), pytest.raises(OSError, match="no"):
            await system.ref("a").ask(Fail())
    (failed,) = recorder.spans
    assert (failed.ended, failed.failure) == (1, "OSError")


@pytest.mark.parametrize("trace", [None, "req_1", f"00-{TRACE}-00f067aa0ba902b7-00"])
async def test_what_belongs_to_no_recorded_trace_has_no_spans(trace: str | None) -> None:
    recorder = Recorder()
    system, root = system_of(recorder)
    async with system.run(root):
        with request_context(trace_id=trace), span(recorder, "block", SpanKind.CLIENT) as begun:
            assert begun is None
            assert (await system.ref("a").ask(Look()))[0] == trace
    assert recorder.spans == []


async def test_a_block_that_is_cancelled_ends_its_span() -> None:
    recorder = Recorder()
    with (
        request_context(trace_id=PARENT),
        trio.move_on_after(1),
        span(recorder, "block", SpanKind.CLIENT),
    ):
        await trio.sleep(2)
    (cut,) = recorder.spans
    assert (cut.ended, cut.failure) == (1, "Cancelled")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "req_1",
        TRACE,
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"01-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"{PARENT}-more",
    ],
)
async def test_what_is_no_traceparent_is_an_id_of_its_own(text: str) -> None:
    assert parse_traceparent(text) is None
    assert trace_id_of(text) == text


async def test_a_traceparent_is_read_and_written() -> None:
    parent = parse_traceparent(PARENT)
    assert parent == TraceParent(TRACE, "00f067aa0ba902b7", sampled=True)
    assert str(parent) == PARENT
    assert trace_id_of(PARENT) == TRACE
    assert parse_traceparent(None) is None
