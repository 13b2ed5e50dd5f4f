"""The switchboard: breakers, chaos and shedding as operators want them, audited, for a time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Final

import attrs
import msgspec
import structlog

from actors.admin_core.messages import SYSTEM, AuditRecord, audit_event
from actors.admin_core.recording import record
from actors.vocabulary import Refusal, RefusalKind
from config.policies import AUTH, CONTROLS, REDIS
from gateway.late_entries import RECORD_TIMEOUT_S, LateEntries
from gateway.switch_messages import (
    SHEDDER,
    GetPolicies,
    GetShedding,
    GetSwitches,
    Order,
    SwitchBack,
    SwitchBreaker,
    SwitchChaos,
    SwitchShedding,
)
from runtime import Actor, ActorError, ActorSystem
from runtime.outbox import OutboxEvent
from runtime.parking import monotonic
from runtime.policies import (
    ForcedState,
    LoadShedder,
    Policies,
    Priority,
    SheddingMode,
)
from runtime.storage import StorageError
from supervisors.switches import Switched, Switches, SwitchKind

log = structlog.get_logger("loyalnest.switchboard")

AUTOMATIC: Final[dict[str, Any]] = {"state": "automatic"}

UNKNOWN: Final = Refusal(RefusalKind.NOT_FOUND, "not_found", "there is no such dependency")
NO_BREAKER: Final = Refusal(RefusalKind.CONFLICT, "no_breaker", "this dependency has no breaker")
NOT_ALLOWED: Final = Refusal(
    RefusalKind.CONFLICT, "chaos_not_allowed", "the setting chaos_allowed is not on"
)
LETS_STAFF_IN: Final = frozenset({AUTH, REDIS})
"""What it takes to know who is staff in good standing: cut off, nobody could switch it back."""

NEEDS_AN_END: Final = Refusal(
    RefusalKind.INVALID,
    "needs_an_end",
    "without it nobody of the platform is let in, who could switch it back: say for how long",
)
LOCKS_OUT: Final = Refusal(
    RefusalKind.CONFLICT, "would_lock_out", "nobody could switch it back: these are the switches"
)


@attrs.frozen
class Change:
    """What a switch comes to. `apply` makes it so, and neither waits nor raises."""

    kind: SwitchKind
    target: str
    action: str
    state: dict[str, Any]
    apply: Callable[[], None]

    @property
    def is_back(self) -> bool:
        """Whether everything goes by itself again after it."""
        return self.state == AUTOMATIC


class Switchboard(Actor):
    """Records each switch in the audit log, and then makes it; one after another.

    What lets things go by themselves again is not kept from it by a database that is away: it
    takes effect after `RECORD_TIMEOUT_S`, and is recorded as soon as that is possible.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(
        self,
        policies: Callable[[ActorSystem], Policies],
        shedder: Callable[[ActorSystem], LoadShedder],
        switches: Switches,
    ) -> None:
        self._make_policies = policies
        self._make_shedder = shedder
        self._switches = switches
        self._policies: Policies
        self._shedder: LoadShedder
        self._late = LateEntries(switches.unrecorded)

    async def started(self) -> None:
        self._policies = self._make_policies(self.system)
        self._shedder = self._make_shedder(self.system)
        for switched in self._switches:
            self._limit(switched)
        self.start_task(self._late.keep_recording, self.system)

    async def receive(self, message: Any) -> object:
        match message:
            case SwitchBreaker():
                return await self._breaker(message)
            case SwitchChaos():
                return await self._chaos(message)
            case SwitchShedding():
                await self._switch(self._shedding(message.mode, message.shed), message.order)
                return None
            case GetPolicies():
                return self._policies.statistics()
            case GetShedding():
                return self._shedder.statistics()
            case GetSwitches():
                return tuple(self._switches)
            case SwitchBack():
                await self._back(message.kind, message.target)
                return None
        return await super().receive(message)

    async def _breaker(self, wanted: SwitchBreaker) -> Refusal | None:
        if wanted.name not in self._policies:
            return UNKNOWN
        if self._policies[wanted.name].breaker is None:
            return NO_BREAKER
        if wanted.name == CONTROLS and wanted.state is ForcedState.OPEN:
            return LOCKS_OUT
        if wanted.state is ForcedState.OPEN and _for_ever(wanted.name, wanted.order):
            return NEEDS_AN_END
        await self._switch(self._forced(wanted.name, wanted.state), wanted.order)
        return None

    async def _chaos(self, wanted: SwitchChaos) -> Refusal | None:
        if wanted.name not in self._policies:
            return UNKNOWN
        if wanted.spec is not None and not self._policies.chaos_allowed:
            return NOT_ALLOWED
        if wanted.spec is not None and wanted.name == CONTROLS:
            return LOCKS_OUT
        if wanted.spec is not None and _for_ever(wanted.name, wanted.order):
            return NEEDS_AN_END
        await self._switch(self._injected(wanted), wanted.order)
        return None

    def _forced(self, name: str, state: ForcedState | None) -> Change:
        return Change(
            SwitchKind.BREAKER,
            name,
            "breaker.switch",
            {"state": state.value} if state is not None else AUTOMATIC,
            lambda: self._policies.force(name, state),
        )

    def _injected(self, wanted: SwitchChaos) -> Change:
        spec = wanted.spec
        state = AUTOMATIC if spec is None else {"state": "on", **msgspec.to_builtins(spec)}
        return Change(
            SwitchKind.CHAOS,
            wanted.name,
            "chaos.switch",
            state,
            lambda: self._policies.chaos(wanted.name, spec),
        )

    def _shedding(self, mode: SheddingMode, shed: frozenset[Priority]) -> Change:
        by_itself = mode is SheddingMode.AUTOMATIC and not shed
        priorities = sorted(priority.value for priority in shed)
        return Change(
            SwitchKind.SHEDDING,
            SHEDDER,
            "shedding.switch",
            AUTOMATIC if by_itself else {"state": mode.value, "shed": priorities},
            lambda: self._shedder.switch(mode, shed),
        )

    async def _switch(self, change: Change, order: Order) -> None:
        event = self._event(change, order)
        try:
            await record(self.system, event, timeout_s=RECORD_TIMEOUT_S)
        except (StorageError, ActorError):
            if not change.is_back:
                raise
            self._late.add(event)
        change.apply()
        self._note(change, order)

    def _event(self, change: Change, order: Order) -> OutboxEvent:
        before = self._switches.get(change.kind, change.target)
        entry = AuditRecord(
            subject=order.subject,
            role=order.role,
            action=change.action,
            target=change.target,
            before=before.state if before is not None else AUTOMATIC,
            after=change.state | ({} if change.is_back else {"for_s": order.for_s}),
            reason=order.reason,
            trace_id=order.trace_id,
        )
        return audit_event(entry, event_id=self.system.ids.new("evt"), at=self.system.clock.now())

    def _note(self, change: Change, order: Order) -> None:
        log.warning(
            "switched",
            what=change.kind.value,
            target=change.target,
            state=change.state["state"],
            for_s=order.for_s,
            by=order.subject,
        )
        self.timers.cancel((change.kind, change.target))
        if change.is_back:
            self._switches.remove(change.kind, change.target)
            return
        now, for_s = self.system.clock.now(), order.for_s
        switched = Switched(
            change.kind,
            change.target,
            change.state,
            order.subject,
            order.reason,
            now,
            now + timedelta(seconds=for_s) if for_s is not None else None,
            monotonic() + for_s if for_s is not None else None,
        )
        self._switches.put(switched)
        self._limit(switched)

    def _limit(self, switched: Switched) -> None:
        """Let it go back by itself when its time is up."""
        if switched.ends_at is not None:
            key = (switched.kind, switched.target)
            left_s = max(0.0, switched.ends_at - monotonic())
            self.timers.start(key, left_s, SwitchBack(*key))

    async def _back(self, kind: SwitchKind, target: str) -> None:
        """At once; the log is told of it afterwards, as it was told how long it would last."""
        order = Order(subject=SYSTEM, role=SYSTEM, reason="its time is up")
        match kind:
            case SwitchKind.BREAKER:
                change = self._forced(target, None)
            case SwitchKind.CHAOS:
                change = self._injected(SwitchChaos(target, None, order))
            case SwitchKind.SHEDDING:
                change = self._shedding(SheddingMode.AUTOMATIC, frozenset())
        self._late.add(self._event(change, order))
        change.apply()
        self._note(change, order)


def _for_ever(name: str, order: Order) -> bool:
    """Whether staff would be cut off until the process ends."""
    return name in LETS_STAFF_IN and order.for_s is None
