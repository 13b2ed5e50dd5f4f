"""An actor that is a process of its own to those who look from outside: it runs while that does.

The process beats (`runtime.beats`) over a socket that it got at its start, whose number is the last
of its arguments. When the socket ends, whoever started it has died, and it ends by itself.
"""

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

import attrs
import structlog
import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from runtime.actor import Actor
from runtime.beats import LINE_BYTES_MAX, Beat, decoded
from runtime.exits import ExitReason
from runtime.message import Call
from runtime.registries import in_registry
from runtime.telemetry import PREFIX

log = structlog.get_logger("loyalnest.processes")

LOOK_EVERY_S: Final = 0.25
"""How often its memory is looked at."""

WAITS: Final = 4
"""Parts that the wait for a beat is divided into: one that lasts long because this process, or the
whole machine, stood still meanwhile is a part and not the whole."""

MIB: Final = 1024 * 1024
PAGE_BYTES: Final = resource.getpagesize()


class End(Enum):
    """Why a process ended that was not asked to: by itself, or for one of these."""

    EXITED = "exited"
    MEMORY = "memory"
    SILENCE = "silence"
    JUNK = "junk"


class ProcessEnded(Exception):
    """The process is gone. `end` says why, `code` is what it ended with (minus a signal)."""

    def __init__(self, name: str, end: End, code: int) -> None:
        super().__init__(f"process {name} ended: {end.value} (code {code})")
        self.end = end
        self.code = code


@attrs.frozen(kw_only=True)
class ProcessSpec:
    """How to start a process, and when to end it.

    Its first beat has to come within `start_s`, the next ones within `silence_s`. Asked to stop,
    it has `stop_s`, also without any. With more than `memory_max_bytes` in memory (None: no limit)
    it is ended.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = attrs.field(repr=False)
    start_s: float = 60.0
    silence_s: float = 10.0
    stop_s: float = 10.0
    memory_max_bytes: int | None = None


@attrs.define
class ProcessState:
    """What is known of a process, for whoever asks; it outlives the incarnations of its actor.

    `pid` and `beat` are None while there is none. `ready_since` is on Trio's clock.
    """

    name: str
    pid: int | None = None
    beat: Beat | None = None
    starts: int = 0
    memory_bytes: int = 0
    last_end: str | None = None
    ready_since: float | None = None
    _process: trio.Process | None = None

    @property
    def ready(self) -> bool:
        return self.beat is not None and self.beat.ready

    def kill(self) -> None:
        """End it at once, from any thread, if it has not ended."""
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()


@attrs.frozen
class EndProcess(Call[None]):
    """End the process in order, by force after its `stop_s`; answered when it is gone."""


class ProcessMetrics:
    """The processes that this one keeps, by name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("shard",)
        self.up = Gauge("shard_up", "Whether a shard runs", labels, PREFIX, registry=registry)
        self.ready = Gauge(
            "shard_ready", "Whether a shard does its work", labels, PREFIX, registry=registry
        )
        self.memory = Gauge(
            "shard_memory_bytes", "Memory that a shard has", labels, PREFIX, registry=registry
        )
        self.starts = Counter(
            "shard_starts", "Starts of a shard's process", labels, PREFIX, registry=registry
        )
        self.ends = Counter(
            "shard_ends",
            "Ends of a shard's process that nobody asked for",
            ("shard", "reason"),
            PREFIX,
            registry=registry,
        )


class KeptProcess(Actor):
    """Starts the process, and crashes when it ends; its supervisor starts it again.

    Whatever ends the actor ends the process as well, and is over when that is.
    """

    hard_limit_s = 3_600.0
    cancellable = False

    def __init__(self, spec: ProcessSpec, state: ProcessState) -> None:
        self._spec = spec
        self._state = state
        self._stopping = False
        self._ended = trio.Event()
        self._process: trio.Process
        self._stream: trio.SocketStream

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, ProcessMetrics)
        ours, theirs = trio.socket.socketpair()
        try:
            self._process = await self._open(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._stream = trio.SocketStream(ours)
        state = self._state
        state.pid, state._process, state.beat = self._process.pid, self._process, None
        state.starts += 1
        state.ready_since = None
        self._metrics.starts.labels(self._spec.name).inc()
        self._metrics.up.labels(self._spec.name).set(1)
        log.info("process_started", name=self._spec.name, pid=self._process.pid)
        self.start_task(self._keep)

    async def _open(self, descriptor: int) -> trio.Process:
        return await trio.lowlevel.open_process(
            [*self._spec.command, str(descriptor)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=dict(self._spec.environment),
            pass_fds=(descriptor,),
            start_new_session=True,
        )

    async def receive(self, message: Any) -> object:
        if isinstance(message, EndProcess):
            await self._end()
            return None
        return await super().receive(message)

    async def stopped(self, reason: ExitReason) -> None:
        await self._end()

    async def _end(self) -> None:
        self._stopping = True
        if not self._ended.is_set():
            self._process.send_signal(signal.SIGTERM)
        with trio.move_on_after(self._spec.stop_s):
            await self._ended.wait()
        if not self._ended.is_set():
            log.error("process_stop_forced", name=self._spec.name, pid=self._process.pid)
            self._process.kill()
            await self._ended.wait()

    async def _keep(self) -> None:
        end = End.EXITED
        try:
            async with trio.open_nursery() as nursery:

                def give_up(reason: End) -> None:
                    nonlocal end
                    end = reason
                    self._process.kill()

                nursery.start_soon(self._hear, give_up)
                nursery.start_soon(self._look_at_memory, give_up)
                await self._process.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self._bury()
        if not self._stopping:
            self._tell(end)
            raise ProcessEnded(self._spec.name, end, self._process.returncode or 0)

    async def _bury(self) -> None:
        """It is gone after this, whatever happened."""
        self._state.kill()
        await self._process.wait()
        await trio.aclose_forcefully(self._stream)
        state, name = self._state, self._spec.name
        state.pid = state.beat = state._process = state.ready_since = None
        state.memory_bytes = 0
        for gauge in (self._metrics.up, self._metrics.ready, self._metrics.memory):
            gauge.labels(name).set(0)
        self._ended.set()

    def _tell(self, end: End) -> None:
        name, code = self._spec.name, self._process.returncode or 0
        self._state.last_end = f"{end.value}, {_code(code)}"
        self._metrics.ends.labels(name, end.value).inc()
        log.error("process_ended", name=name, reason=end.value, code=code, pid=self._process.pid)

    async def _hear(self, give_up: Callable[[End], None]) -> None:
        """Take its beats, until there are none or what comes is none."""
        heard, wait_s = b"", self._spec.start_s
        while True:
            lines, _, rest = heard.rpartition(b"\n")
            for line in lines.splitlines():
                try:
                    self._beaten(decoded(line))
                except ValueError:
                    return give_up(End.JUNK)
                wait_s = self._spec.silence_s
            some = await self._heard_within(wait_s)
            if some is None:
                return self._fell_silent(give_up)
            if not some:  # it ends, which is seen elsewhere, unless it only hung up
                await trio.sleep(self._spec.silence_s)
                return self._fell_silent(give_up)
            heard = rest + some
            if len(heard) > 2 * LINE_BYTES_MAX:
                return give_up(End.JUNK)

    async def _heard_within(self, wait_s: float) -> bytes | None:
        """What has come, empty at the end; None when nothing has."""
        for _ in range(WAITS):
            with trio.move_on_after(wait_s / WAITS):
                return await self._stream.receive_some(LINE_BYTES_MAX)
        return None

    def _fell_silent(self, give_up: Callable[[End], None]) -> None:
        """One that stops says nothing any more, and has its own time for that."""
        if not self._stopping:
            give_up(End.SILENCE)

    def _beaten(self, beat: Beat) -> None:
        state, name = self._state, self._spec.name
        was_ready = state.ready
        state.beat = beat
        if beat.ready is was_ready:
            return
        state.ready_since = trio.current_time() if beat.ready else None
        self._metrics.ready.labels(name).set(beat.ready)
        log.info("process_ready" if beat.ready else "process_not_ready", name=name, **beat.facts)

    async def _look_at_memory(self, give_up: Callable[[End], None]) -> None:
        limit, statm = self._spec.memory_max_bytes, Path(f"/proc/{self._process.pid}/statm")
        while True:
            used = self._state.memory_bytes = _resident_bytes(statm)
            self._metrics.memory.labels(self._spec.name).set(used)
            if limit is not None and used > limit:
                log.error("memory_exceeded", name=self._spec.name, bytes=used, limit=limit)
                return give_up(End.MEMORY)
            await trio.sleep(LOOK_EVERY_S)


def _resident_bytes(statm: Path) -> int:
    """What a process has in memory now, shared pages included; 0 when it is gone, and where the
    system does not tell it in this way."""
    try:
        return int(statm.read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def _code(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    names: Iterator[str] = (each.name for each in signal.Signals if each.value == -code)
    return next(names, f"signal {-code}")
