"""Supervisors: start children in order, restart them by strategy, stop them in reverse.

Terms and behaviour are those of OTP's `supervisor`.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

import attrs
import structlog
import trio

from runtime.actor import Actor
from runtime.child import (
    BRUTAL,
    Backoff,
    Child,
    ChildSpec,
    ChildState,
    Intensity,
    Restart,
    Strategy,
)
from runtime.errors import StartFailed
from runtime.exits import SHUTDOWN, ExitKind, ExitReason
from runtime.incarnation import Incarnation
from runtime.message import Call, Cast
from runtime.parking import monotonic
from runtime.system_messages import Stop, SystemMessage

log = structlog.get_logger("loyalnest.supervisor")

MAX_INTENSITY = "reached_max_restart_intensity"


@attrs.frozen
class ChildStatus:
    """`restarts` counts the starts after the first one, `kind` is the actor's class."""

    id: str
    state: ChildState
    address: str
    restarts: int
    kind: str
    is_supervisor: bool
    last_exit: str | None


class AdminError(Enum):
    """Why a supervisor did not do what it was asked to."""

    ALREADY_PRESENT = "already_present"
    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"
    NOT_SUPPORTED = "not_supported"
    START_FAILED = "start_failed"


@attrs.frozen
class WhichChildren(Call[tuple[ChildStatus, ...]]):
    """The children in the order of their start."""


@attrs.frozen
class ChildCounts:
    specs: int
    active: int
    supervisors: int
    workers: int


@attrs.frozen
class CountChildren(Call[ChildCounts]):
    pass


@attrs.frozen
class StartChild(Call[str | AdminError]):
    """Add a child and start it; answers its address. SIMPLE_ONE_FOR_ONE takes `arguments`
    for its template, the other strategies take a `spec`."""

    spec: ChildSpec | None = None
    arguments: tuple[Any, ...] = ()


@attrs.frozen
class TerminateChild(Call[AdminError | None]):
    """Stop a child and keep its specification (SIMPLE_ONE_FOR_ONE and temporary: forget it)."""

    id: str


@attrs.frozen
class RestartChild(Call[str | AdminError]):
    """Start a child that is down; answers its address."""

    id: str


@attrs.frozen
class DeleteChild(Call[AdminError | None]):
    """Forget a child that is down."""

    id: str


@attrs.frozen
class ChildExited(SystemMessage):
    child: Child
    incarnation: Incarnation
    reason: ExitReason


@attrs.frozen
class RestartDue(Cast):
    """To itself: start `child` again, with those that share its fate."""

    child: Child


@attrs.frozen
class RetryRestart(SystemMessage):
    """To itself: a restart failed. A message, so that a request to stop gets in between."""

    child: Child


class Supervisor(Actor):
    """Keeps children running.

    More than `intensity` restarts within `period_s` end the supervisor itself (shutdown,
    "reached_max_restart_intensity"), after stopping its children: the fault is passed up.
    """

    cancellable: ClassVar[bool] = False

    def __init__(
        self,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 1,
        period_s: float = 5.0,
        backoff: Backoff | None = None,
        template: ChildSpec | None = None,
    ) -> None:
        ids = [spec.id for spec in children]
        if len(set(ids)) != len(ids):
            raise ValueError(f"children with the same id: {ids}")
        if (strategy is Strategy.SIMPLE_ONE_FOR_ONE) != (template is not None):
            raise ValueError("a template belongs to simple_one_for_one, and only to it")
        self._specs = tuple(children)
        self._strategy = strategy
        self._intensity = Intensity(intensity, period_s)
        self._backoff = backoff
        self._template = template
        self._children: dict[str, Child] = {}
        self._made = 0

    async def started(self) -> None:
        try:
            for spec in self._specs:
                await self._boot(spec)
        except StartFailed:
            await self._stop_all()
            raise

    async def stopped(self, reason: ExitReason) -> None:
        await self._stop_all()

    async def receive_system(self, message: SystemMessage) -> None:
        match message:
            case ChildExited():
                await self._child_exited(message)
            case RetryRestart(child=child):
                if child.state is ChildState.RESTARTING:
                    await self._schedule_restart(child)

    async def receive(self, message: Any) -> object:
        match message:
            case WhichChildren():
                return tuple(_status(child) for child in self._children.values())
            case CountChildren():
                return self._count()
            case StartChild():
                return await self._admin_start(message)
            case TerminateChild():
                return await self._admin_terminate(message.id)
            case RestartChild():
                return await self._admin_restart(message.id)
            case DeleteChild():
                return self._admin_delete(message.id)
            case RestartDue():
                await self._restart(message.child)
            case _:
                return await super().receive(message)
        return None

    # Starting and stopping

    async def _boot(self, spec: ChildSpec) -> None:
        child = self._adopt(spec)
        if not await self._start(child):
            error = child.incarnation.start_error if child.incarnation else None
            raise StartFailed(f"{child.cell.address} did not start: {error}") from error

    def _adopt(self, spec: ChildSpec, arguments: tuple[Any, ...] = ()) -> Child:
        cell = self.system.cell(f"{self.ref.address}/{spec.id}", spec.mailbox, spec.name)
        child = self._children[spec.id] = Child(spec, cell, arguments)
        return child

    async def _start(self, child: Child) -> bool:
        """Start an incarnation and wait until it is ready or has failed."""
        try:
            actor = child.spec.start(*child.arguments)
        except Exception as error:
            self._start_failed(child, error)
            return False
        incarnation = Incarnation(child.cell, actor, self.system, self._exit_of(child))
        child.starts += 1
        incarnation.number = child.starts
        child.incarnation = incarnation
        self._incarnation.launch(incarnation)
        with trio.move_on_after(child.spec.start_timeout_s):
            await incarnation.started.wait()
        if not incarnation.started.is_set():
            incarnation.kill()
            await incarnation.exited.wait()
        if incarnation.start_error is not None:
            self._start_failed(child, incarnation.start_error)
            return False
        child.state = ChildState.RUNNING
        return True

    def _start_failed(self, child: Child, error: BaseException) -> None:
        child.state = ChildState.DOWN
        log.error("child_start_failed", child=child.cell.address, error=repr(error)[:500])

    def _exit_of(self, child: Child) -> Any:
        cell = self._incarnation.cell

        def on_exit(incarnation: Incarnation, reason: ExitReason) -> None:
            cell.signal(ChildExited(child, incarnation, reason))

        return on_exit

    async def _terminate(self, child: Child, state: ChildState) -> None:
        """Stop the child and leave it in `state`."""
        was_running = child.state is ChildState.RUNNING
        child.state = state
        self.timers.cancel(child.spec.id)
        incarnation = child.incarnation
        if not was_running or incarnation is None:
            return
        if child.spec.shutdown_s > BRUTAL:
            child.cell.signal(Stop(SHUTDOWN))
            with trio.move_on_after(child.spec.shutdown_s):
                await incarnation.exited.wait()
        if not incarnation.exited.is_set():
            incarnation.kill()
            await incarnation.exited.wait()
        child.last_exit = incarnation.reason

    async def _stop_all(self) -> None:
        children = list(reversed(self._children.values()))
        if self._strategy is not Strategy.SIMPLE_ONE_FOR_ONE:
            for child in children:
                await self._terminate(child, ChildState.DOWN)
            return
        async with trio.open_nursery() as nursery:
            for child in children:
                nursery.start_soon(self._terminate, child, ChildState.DOWN)

    # Restarting

    async def _child_exited(self, event: ChildExited) -> None:
        child, reason = event.child, event.reason
        if child.incarnation is not event.incarnation or child.state is not ChildState.RUNNING:
            return
        child.state = ChildState.DOWN
        child.last_exit = reason
        self._report(child, reason)
        if child.spec.restart.applies_to(reason):
            await self._schedule_restart(child)
        elif self._is_forgotten(child):
            self._forget(child)

    async def _schedule_restart(self, child: Child) -> None:
        if not self._intensity.admit(monotonic()):
            log.error("supervisor_gave_up", supervisor=self.ref.address, child=child.spec.id)
            self.stop(ExitReason(ExitKind.SHUTDOWN, MAX_INTENSITY))
            return
        for sibling in reversed(self._fate_sharers(child)):
            await self._terminate(sibling, ChildState.RESTARTING)
            if sibling is not child and sibling.spec.restart is Restart.TEMPORARY:
                self._forget(sibling)
        delay = 0.0
        if self._backoff is not None:
            delay = self._backoff.delay_s(self._intensity.count, self.system.random)
        if delay > 0:
            self.timers.start(child.spec.id, delay, RestartDue(child))
        else:
            await self._restart(child)

    def _fate_sharers(self, child: Child) -> list[Child]:
        """The children that restart together with `child`, itself included, in order."""
        children = list(self._children.values())
        if self._strategy is Strategy.ONE_FOR_ALL:
            return children
        if self._strategy is Strategy.REST_FOR_ONE:
            return children[children.index(child) :]
        return [child]

    async def _restart(self, child: Child) -> None:
        if child.state is not ChildState.RESTARTING:
            return
        for sibling in self._fate_sharers(child):
            if sibling.state is ChildState.RUNNING:
                continue
            if not await self._start(sibling):
                sibling.state = ChildState.RESTARTING
                self._incarnation.cell.signal(RetryRestart(sibling))
                return
            self.system.metrics.restarted(sibling.spec.name or sibling.spec.id)

    def _report(self, child: Child, reason: ExitReason) -> None:
        if reason.expected:
            log.info("child_ended", child=child.cell.address, reason=str(reason)[:500])
            return
        log.error(
            "child_crashed",
            supervisor=self.ref.address,
            child=child.cell.address,
            reason=str(reason)[:500],
            starts=child.starts,
            exc_info=reason.error,
        )

    # Administration

    def _is_forgotten(self, child: Child) -> bool:
        simple = self._strategy is Strategy.SIMPLE_ONE_FOR_ONE
        return simple or child.spec.restart is Restart.TEMPORARY

    def _forget(self, child: Child) -> None:
        self._children.pop(child.spec.id, None)
        self.system.release(child.cell, child.spec.name)

    async def _admin_start(self, message: StartChild) -> str | AdminError:
        spec = message.spec
        if self._template is not None:
            self._made += 1
            spec = attrs.evolve(self._template, id=f"{self._template.id}-{self._made}")
        if spec is None:
            return AdminError.NOT_SUPPORTED
        if spec.id in self._children:
            running = self._children[spec.id].state is ChildState.RUNNING
            return AdminError.RUNNING if running else AdminError.ALREADY_PRESENT
        try:
            child = self._adopt(spec, message.arguments)
        except StartFailed as error:
            log.error("child_start_failed", child=spec.id, error=repr(error)[:500])
            return AdminError.START_FAILED
        if not await self._start(child):
            self._forget(child)
            return AdminError.START_FAILED
        return child.cell.address

    async def _admin_terminate(self, id_: str) -> AdminError | None:
        child = self._children.get(id_)
        if child is None:
            return AdminError.NOT_FOUND
        await self._terminate(child, ChildState.DOWN)
        if self._is_forgotten(child):
            self._forget(child)
        return None

    async def _admin_restart(self, id_: str) -> str | AdminError:
        child = self._children.get(id_)
        refusal = self._refusal(child)
        if refusal is not None or child is None:
            return refusal or AdminError.NOT_FOUND
        return child.cell.address if await self._start(child) else AdminError.START_FAILED

    def _admin_delete(self, id_: str) -> AdminError | None:
        child = self._children.get(id_)
        refusal = self._refusal(child)
        if refusal is None and child is not None:
            self._forget(child)
        return refusal

    def _refusal(self, child: Child | None) -> AdminError | None:
        """Why a child that should be down cannot be started or deleted."""
        if self._strategy is Strategy.SIMPLE_ONE_FOR_ONE:
            return AdminError.NOT_SUPPORTED
        if child is None:
            return AdminError.NOT_FOUND
        if child.state is ChildState.RUNNING:
            return AdminError.RUNNING
        return AdminError.RESTARTING if child.state is ChildState.RESTARTING else None

    def _count(self) -> ChildCounts:
        children = list(self._children.values())
        active = sum(child.state is ChildState.RUNNING for child in children)
        supervisors = sum(_is_supervisor(child) for child in children)
        specs = 1 if self._template is not None else len(children)
        return ChildCounts(specs, active, supervisors, len(children) - supervisors)


def _is_supervisor(child: Child) -> bool:
    return child.incarnation is not None and isinstance(child.incarnation.actor, Supervisor)


def _status(child: Child) -> ChildStatus:
    actor = child.incarnation.actor if child.incarnation is not None else None
    return ChildStatus(
        id=child.spec.id,
        state=child.state,
        address=child.cell.address,
        restarts=max(0, child.starts - 1),
        kind=type(actor).__name__,
        is_supervisor=_is_supervisor(child),
        last_exit=str(child.last_exit) if child.last_exit is not None else None,
    )
