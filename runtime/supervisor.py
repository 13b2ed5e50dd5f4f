"""Supervisors: start children in order, restart them by strategy, stop them in reverse.

Terms and behaviour are those of OTP's `supervisor`; `docs/supervision.md` compares the two.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from math import inf
from typing import Any, ClassVar

import attrs
import structlog

from runtime.actor import Actor
from runtime.administration import (
    AdminError,
    ChildCounts,
    CountChildren,
    DeleteChild,
    GetChildSpec,
    Reconfigure,
    Refused,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
    WhichChildren,
)
from runtime.child import Backoff, ChildSpec, ChildState, ChildType, Restart
from runtime.children import Child, ChildExited, Children
from runtime.describing import ITEMS_MAX
from runtime.errors import InvalidSpec, NameTaken, StartFailed
from runtime.exits import ExitKind, ExitReason
from runtime.flags import (
    AutoShutdown,
    Strategy,
    SupervisorFlags,
    check_children,
    check_flags,
    check_template,
    listed,
)
from runtime.message import Cast
from runtime.parking import monotonic
from runtime.ref import ActorRef
from runtime.reports import ReportKind, clipped
from runtime.restarts import Restarts
from runtime.system_messages import SystemMessage

log = structlog.get_logger("loyalnest.supervisor")

MAX_INTENSITY = "reached_max_restart_intensity"
AUTO_SHUTDOWN = "auto_shutdown"


@attrs.frozen
class RestartDue(Cast):
    """To itself, by a timer: the wait of the backoff is over."""

    child: Child


@attrs.frozen
class RestartAgain(Cast):
    """To itself, by a timer without delay: a restart failed. Requests get in between."""

    child: Child


class Supervisor(Actor):
    """Keeps children running.

    More than `intensity` restarts within `period_s` end the supervisor itself (shutdown,
    "reached_max_restart_intensity"), after stopping its children: the fault is passed up.
    `auto_shutdown` says whether it also ends (shutdown, "auto_shutdown") when significant
    children have. Raises `InvalidSpec` for flags and children that do not go together.
    """

    cancellable: ClassVar[bool] = False

    hard_limit_s: ClassVar[float] = inf
    """It waits for its children, whose starts and stops have limits of their own."""

    def __init__(
        self,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 1,
        period_s: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        backoff: Backoff | None = None,
        template: ChildSpec | None = None,
    ) -> None:
        flags = SupervisorFlags(strategy, intensity, period_s, auto_shutdown, backoff)
        self._specs = listed(children)
        _check(flags, self._specs, template)
        self._template = template
        self._restarts = Restarts(flags)
        self._made = 0

    @property
    def _flags(self) -> SupervisorFlags:
        return self._restarts.flags

    @property
    def children(self) -> Collection[Child]:
        """Its children in the order of their start, for who looks on without asking it."""
        found: Collection[Child] = vars(self).get("_children", ())
        return found

    def child(self, id_: str) -> Child | None:
        """The child with this id, in the same way."""
        found: Children | None = vars(self).get("_children")
        return found.find(id_) if found is not None else None

    def shown_state(self) -> object:
        first = [child.status() for child in islice(self.children, ITEMS_MAX)]
        return {"flags": self._flags, "children": len(self.children), "first": first}

    async def started(self) -> None:
        self._children = Children(self._incarnation, Supervisor)
        for spec in self._specs:
            error = await self._boot(spec)
            if error is not None:
                await self._children.stop_in_order()
                address = f"{self.ref.address}/{spec.id}"
                raise StartFailed(f"{address} did not start: {clipped(str(error))}") from error

    async def _boot(self, spec: ChildSpec) -> BaseException | None:
        child = self._children.adopt(spec.id, spec)
        self.system.metrics.expect_restarts(spec.name or spec.id)
        error = await self._children.start(child)
        if error is not None:
            self._report(ReportKind.START_ERROR, child, error)
        self._forget_if_ignored(child)
        return error

    async def stopped(self, reason: ExitReason) -> None:
        if self._template is not None:
            await self._children.stop_at_once(self._template)
        else:
            await self._children.stop_in_order()

    async def receive_system(self, message: SystemMessage) -> None:
        if isinstance(message, ChildExited):
            await self._child_exited(message)

    async def receive(self, message: Any) -> object:
        match message:
            case RestartDue():
                await self._restart_group(message.child)
            case RestartAgain():
                await self._restart(message.child)
            case TerminateChild():
                return await self._admin_terminate(message.child)
            case StartChild():
                return await self._admin_start(message)
            case RestartChild():
                return await self._admin_restart(message.id)
            case DeleteChild() | Reconfigure():
                return self._change(message)
            case WhichChildren() | CountChildren() | GetChildSpec():
                return self._tell(message)
            case _:
                self._misunderstood(message)
        return None

    def _misunderstood(self, message: object) -> None:
        """Whoever sends the wrong message does not bring down all that run below."""
        kind = type(message).__name__
        log.error("unexpected_message", supervisor=self.ref.address, message=kind)
        self.envelope.fail(TypeError(f"{type(self).__name__} does not understand {kind}"))

    def _tell(self, question: WhichChildren | CountChildren | GetChildSpec) -> object:
        match question:
            case WhichChildren():
                return tuple(child.status() for child in self._children)
            case CountChildren():
                return self._count()
            case GetChildSpec():
                return self._spec_of(question.child)

    def _change(self, message: DeleteChild | Reconfigure) -> Refused | None:
        if isinstance(message, DeleteChild):
            return self._admin_delete(message.id)
        return self._reconfigure(message)

    # Restarting

    async def _child_exited(self, event: ChildExited) -> None:
        child, reason = event.child, event.reason
        if child.incarnation is not event.incarnation:
            return
        child.ended(reason)
        restart = child.spec.restart
        if restart is Restart.PERMANENT or not reason.expected:
            self._report(ReportKind.CHILD_TERMINATED, child, reason)
        if restart.applies_to(reason):
            await self._restart(child)
        else:
            if self._forgets(child):
                self._children.forget(child)
            self._shut_down_if_significant(child)

    async def _restart(self, child: Child) -> None:
        """Count a restart, then start the child and those that share its fate."""
        if not self._restarts.admit(monotonic()):
            child.state = ChildState.DOWN
            self._report(ReportKind.SHUTDOWN, child, MAX_INTENSITY)
            self.stop(ExitReason(ExitKind.SHUTDOWN, MAX_INTENSITY))
            return
        delay = self._restarts.delay_s(self.system.random)
        if delay > 0:
            await self._stop_group(child)
            self._restart_later(child, delay, RestartDue(child))
        else:
            await self._restart_group(child)

    def _restart_later(self, child: Child, delay_s: float, message: Cast) -> None:
        child.state = ChildState.RESTARTING
        self.timers.start(child, delay_s, message)

    async def _restart_group(self, child: Child) -> None:
        await self._stop_group(child)
        for sibling in self._fate_sharers(child):
            error = await self._children.start(sibling)
            if error is not None:
                self._report(ReportKind.START_ERROR, sibling, error)
                self._restart_later(sibling, 0.0, RestartAgain(sibling))
                return
            self._forget_if_ignored(sibling)
            if sibling.state is ChildState.RUNNING:
                self.system.metrics.restarted(sibling.spec.name or sibling.spec.id)

    def _report(
        self, kind: ReportKind, child: Child, reason: ExitReason | BaseException | str
    ) -> None:
        in_period = self._restarts.in_period(monotonic())
        self._children.report(kind, child, reason, in_period=in_period)

    async def _stop_group(self, child: Child) -> None:
        for sibling in reversed(self._fate_sharers(child)):
            await self._stop(sibling)
            if sibling is not child and sibling.spec.restart is Restart.TEMPORARY:
                self._children.forget(sibling)

    async def _stop(self, child: Child) -> None:
        self.timers.cancel(child)
        await self._children.stop(child)

    def _fate_sharers(self, child: Child) -> list[Child]:
        """The children that restart together with `child`, itself included, in order."""
        if self._flags.strategy is Strategy.ONE_FOR_ALL:
            return list(self._children)
        if self._flags.strategy is Strategy.REST_FOR_ONE:
            children = list(self._children)
            return children[children.index(child) :]
        return [child]

    def _shut_down_if_significant(self, child: Child) -> None:
        """`child` ended by itself and for good: end as well, where the flags say so."""
        when = self._flags.auto_shutdown
        if when is AutoShutdown.NEVER or not child.spec.significant:
            return
        others = any(
            each.spec.significant and each.state is not ChildState.DOWN for each in self._children
        )
        if when is AutoShutdown.ANY_SIGNIFICANT or not others:
            self.stop(ExitReason(ExitKind.SHUTDOWN, AUTO_SHUTDOWN))

    # Administration

    def _forgets(self, child: Child) -> bool:
        """Whether nothing is kept of the child when it does not run."""
        return self._template is not None or child.spec.restart is Restart.TEMPORARY

    def _forget_if_ignored(self, child: Child) -> None:
        if child.state is ChildState.DOWN and self._forgets(child):
            self._children.forget(child)

    async def _admin_start(self, message: StartChild) -> Started | Refused:
        if self._template is not None:
            return await self._start_from(self._template, message)
        spec = message.spec
        if spec is None:
            return Refused(AdminError.INVALID_SPEC, "no specification of a child")
        try:
            check_children((spec,), self._flags.auto_shutdown)
        except InvalidSpec as error:
            return Refused(AdminError.INVALID_SPEC, str(error))
        present = self._children.find(spec.id)
        if present is not None:
            return _in_the_way(present)
        return await self._start_new(spec.id, spec, ())

    async def _start_from(self, template: ChildSpec, message: StartChild) -> Started | Refused:
        if message.spec is not None:
            return Refused(AdminError.SIMPLE_ONE_FOR_ONE, "it takes arguments for its template")
        self._made += 1
        return await self._start_new(f"{template.id}-{self._made}", template, message.arguments)

    async def _start_new(
        self, id_: str, spec: ChildSpec, arguments: tuple[Any, ...]
    ) -> Started | Refused:
        child = self._children.adopt(id_, spec, arguments)
        answer = await self._start(child)
        if isinstance(answer, Refused):
            self._children.forget(child)
        return answer

    async def _start(self, child: Child) -> Started | Refused:
        error = await self._children.start(child)
        if isinstance(error, NameTaken) and child.spec.name is not None:
            holder = self.system.ref(child.spec.name)
            return Refused(AdminError.ALREADY_STARTED, clipped(str(error)), holder, error)
        if error is not None:
            return Refused(AdminError.START_FAILED, clipped(repr(error)), error=error)
        if child.incarnation is None:
            self._forget_if_ignored(child)
            return Started(None)
        return Started(ActorRef(child.cell), child.incarnation.info)

    async def _admin_terminate(self, target: str | ActorRef) -> Refused | None:
        child = self._target(target)
        if isinstance(child, Child):
            await self._stop(child)
            if self._forgets(child):
                self._children.forget(child)
            return None
        return child

    def _target(self, target: str | ActorRef) -> Child | Refused | None:
        """The child that is meant. None: one of the template's that is no more."""
        if self._template is None:
            child = self._children.find(target)
            return child if child is not None else Refused(AdminError.NOT_FOUND)
        if not isinstance(target, ActorRef):
            return Refused(AdminError.SIMPLE_ONE_FOR_ONE, "children are found by reference")
        child = self._children.find_at(target)
        return Refused(AdminError.NOT_FOUND) if child is None and target.alive else child

    def _spec_of(self, target: str | ActorRef) -> ChildSpec | Refused:
        template = self._template
        spec: ChildSpec | None
        if isinstance(target, ActorRef):
            child = self._children.find_at(target)
            spec = child.spec if child is not None else None if target.alive else template
        elif template is not None:
            spec = template if target == template.id else None
        else:
            child = self._children.find(target)
            spec = child.spec if child is not None else None
        return spec if spec is not None else Refused(AdminError.NOT_FOUND)

    async def _admin_restart(self, id_: str) -> Started | Refused:
        child = self._one_that_is_down(id_)
        return child if isinstance(child, Refused) else await self._start(child)

    def _admin_delete(self, id_: str) -> Refused | None:
        child = self._one_that_is_down(id_)
        if isinstance(child, Refused):
            return child
        self._children.forget(child)
        return None

    def _one_that_is_down(self, id_: str) -> Child | Refused:
        """The child to be started or deleted, or why it cannot be."""
        if self._template is not None:
            return Refused(AdminError.SIMPLE_ONE_FOR_ONE)
        child = self._children.find(id_)
        if child is None:
            return Refused(AdminError.NOT_FOUND)
        if child.state is ChildState.DOWN:
            return child
        running = child.state is ChildState.RUNNING
        return Refused(AdminError.RUNNING if running else AdminError.RESTARTING)

    def _count(self) -> ChildCounts:
        total = active = supervisors = 0
        for child in self._children:
            total += 1
            active += child.state is ChildState.RUNNING
            supervisors += child.type is ChildType.SUPERVISOR
        specs = 1 if self._template is not None else total
        return ChildCounts(specs, active, supervisors, total - supervisors)

    # Changing

    def _reconfigure(self, message: Reconfigure) -> Refused | None:
        flags = message.flags if message.flags is not None else self._flags
        template = message.template if message.template is not None else self._template
        children = message.children
        try:
            children = listed(children) if children is not None else None
            if children is None and template is None:
                _check(flags, [child.spec for child in self._children], None)
            else:
                _check(flags, children or (), template)
            if flags.simple != self._flags.simple:
                raise InvalidSpec("simple_one_for_one cannot be taken up or given up")
        except InvalidSpec as error:
            return Refused(AdminError.INVALID_SPEC, str(error))
        self._restarts.flags, self._template = flags, template
        if template is not None:
            for child in self._children:
                child.spec = template
        elif children is not None:
            self._take_on(children)
        return None

    def _take_on(self, specs: Iterable[ChildSpec]) -> None:
        ids = []
        for spec in specs:
            ids.append(spec.id)
            child = self._children.find(spec.id)
            if child is None:
                self._children.adopt(spec.id, spec)
            else:
                child.spec = spec
        self._children.reorder(ids)


def _in_the_way(present: Child) -> Refused:
    if present.state is ChildState.RUNNING:
        return Refused(AdminError.ALREADY_STARTED, ref=ActorRef(present.cell))
    return Refused(AdminError.ALREADY_PRESENT)


def _check(
    flags: SupervisorFlags, children: Sequence[ChildSpec], template: ChildSpec | None
) -> None:
    check_flags(flags)
    check_template(template, flags)
    if flags.simple and children:
        raise InvalidSpec("simple_one_for_one takes a template, and no children")
    check_children(children, flags.auto_shutdown)
