"""The audit log: what an operator did is in it once, in order, in a chain that verifies."""

from collections import Counter
from random import Random
from typing import ClassVar

import attrs

from actors.admin_core.messages import QUERIES, AuditRecord, VerifyAudit, audit_event
from runtime.journal import JOURNAL, Append
from runtime.sim import Operation, Run, SimulatedSystem
from runtime.storage import AcrossMerchants
from runtime.storage.outbox import event_write
from supervisors.simulation.parts import MERCHANT, ApplicationScenario, Part

ACTION = "simulated.act"

SELECT_ENTRIES = AcrossMerchants(
    "SELECT merchant_id, sequence, target FROM audit_entries WHERE action = $1"
)
COUNT_CHAINS = AcrossMerchants(
    "SELECT merchant_id, count(*), max(sequence) FROM audit_entries GROUP BY merchant_id"
)


@attrs.frozen
class Act(Operation):
    """Something that is audited, of the merchant or of the platform."""

    of_merchant: bool

    def __str__(self) -> str:
        return f"act as an operator of {'the merchant' if self.of_merchant else 'the platform'}"


class Audit(Part):
    """Operators whose acts are published until that is certain, each under one event id."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Act,)

    def __init__(self) -> None:
        self._acts = 0

    def draw(self, random: Random) -> Operation:
        return Act(random.random() < 0.5)

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, Act):
            raise TypeError(operation)
        self._acts += 1
        record = AuditRecord(
            subject="simulated", role="platform", action=ACTION, target=f"act-{self._acts}"
        )
        event = audit_event(
            record,
            event_id=f"evt_simulated_{self._acts:06}",
            at=run.world.clock.now(),
            merchant_id=MERCHANT if operation.of_merchant else None,
        )
        append = Append((event_write(event),), publishes=True)

        async def publish(system: SimulatedSystem) -> bool:
            """That it is rejected says that it is there already."""
            await system.ref(JOURNAL).ask(append)
            return True

        await run.until_answered(publish)

    async def check(self, run: Run) -> None:
        store, findings = run.world.store.real, run.findings
        made = Counter(row["target"] for row in await store.fetch(SELECT_ENTRIES, ACTION))
        for number in range(1, self._acts + 1):
            times = made[f"act-{number}"]
            detail = f"act {number} is in the audit log {times} times"
            findings.check(times >= 1, "every event has its effect", detail)
            findings.check(times <= 1, "no double effect", detail)
        for merchant_id, count, last in await store.fetch(COUNT_CHAINS):
            detail = f"audit of {merchant_id}: {count} entries, the last is {last}"
            findings.check(count == last, "gapless sequence", detail)
        verification = await (await run.service.up()).ref(QUERIES).ask(VerifyAudit())
        for broken in verification.broken:
            findings.add("audit log verifies", str(broken))


class AuditScenario(ApplicationScenario):
    """The audit log alone."""

    name = "audit"
    parts = (Audit,)
