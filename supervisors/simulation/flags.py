"""Flags: operators who change them, and processes that must know the latest in the end."""

from random import Random
from typing import ClassVar

import attrs
import trio

from actors.admin_core.messages import AuditRecord, audit_event
from actors.admin_features.messages import (
    FLAGS,
    KEEPER,
    EvaluateFlags,
    Evaluation,
    Flag,
    FlagTerms,
    FlagType,
    GetFlag,
    PutFlag,
    Subject,
)
from actors.vocabulary import Refusal
from runtime import ActorSystem
from runtime.sim import Operation, Run
from runtime.storage import Row
from supervisors.simulation.parts import ApplicationScenario, Part

KEYS = ("one.flag", "another.flag")
CONVERGED_S = 5.0
NOT_BACK = "versions never go back"

HISTORY = (
    "SELECT h.flag_key, h.version, f.version AS latest FROM admin_flag_history h"
    " LEFT JOIN admin_flags f ON f.merchant_id = h.merchant_id AND f.flag_key = h.flag_key"
    " WHERE h.merchant_id = $1 ORDER BY h.flag_key, h.version"
)


@attrs.frozen
class ChangeFlag(Operation):
    """An operator looks at a flag and sets it to something else."""

    key: str
    value: int

    def __str__(self) -> str:
        return f"set {self.key} to {self.value}"


@attrs.frozen
class ReadFlag(Operation):
    key: str

    def __str__(self) -> str:
        return f"evaluate {self.key}"


class Flags(Part):
    """Operators who look again when somebody else was faster, and clients who evaluate."""

    operations: ClassVar[tuple[type[Operation], ...]] = (ChangeFlag, ReadFlag)

    def __init__(self) -> None:
        self._told: dict[str, int] = dict.fromkeys(KEYS, 0)
        self._read: dict[tuple[int, str], int] = {}
        self._changes = 0

    def draw(self, random: Random) -> Operation:
        key = random.choice(KEYS)
        return ReadFlag(key) if random.random() < 0.5 else ChangeFlag(key, random.randint(1, 99))

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case ReadFlag(key):
                await self._evaluate(run, key)
            case ChangeFlag(key, value):
                await self._change(run, key, value)

    async def _evaluate(self, run: Run, key: str) -> None:
        async def ask(system: ActorSystem) -> tuple[int, tuple[Evaluation, ...]]:
            question = EvaluateFlags((key,), Subject(), only_exposed=False)
            return id(system), await system.ref(KEEPER).ask(question)

        answer = await run.ask(ask)
        if answer is None:
            return
        process, (found,) = answer
        seen = self._read.get((process, key), 0)
        detail = f"{key}: {found.version} after {seen}"
        run.findings.check(found.version >= seen, NOT_BACK, detail)
        self._read[process, key] = max(seen, found.version)

    async def _change(self, run: Run, key: str, value: int) -> None:
        self._changes += 1
        number = self._changes

        async def ask(system: ActorSystem) -> Flag | Refusal:
            known = await system.ref(FLAGS).ask(GetFlag(key))
            version = known.version if known is not None else 0
            record = AuditRecord(subject="ops", role="platform", action="flag.put", target=key)
            event_id = f"flag-{number}-{system.ids.new('ev')}"
            event = audit_event(record, event_id=event_id, at=system.clock.now())
            terms = FlagTerms(
                type=FlagType.INTEGER, default=value, description=f"change {number}", exposed=True
            )
            return await system.ref(FLAGS).ask(PutFlag(key, terms, version, "ops", "sim", event))

        told = await run.until_answered(ask, lambda answer: isinstance(answer, Flag))
        if isinstance(told, Flag):
            self._told[key] = max(self._told[key], told.version)

    async def check(self, run: Run) -> None:
        """Every change that was told is there, without gaps, and the process knows the latest."""
        await trio.sleep(CONVERGED_S)
        latest: dict[str, int] = {}
        for row in await run.world.store.real.fetch(HISTORY, "-"):
            self._check_row(run, row, latest)
        system = await run.service.up()
        question = EvaluateFlags(KEYS, Subject(), only_exposed=False)
        for found in await system.ref(KEEPER).ask(question):
            known, there = found.version, latest.get(found.key, 0)
            detail = f"{found.key}: the process has {known}, the store {there}"
            run.findings.check(known == there, "converges", detail)
            told = self._told[found.key]
            lost = f"{found.key}: told {told}, there is {there}"
            run.findings.check(there >= told, "nothing is lost", lost)

    @staticmethod
    def _check_row(run: Run, row: Row, latest: dict[str, int]) -> None:
        key, version = row["flag_key"], row["version"]
        gapless = version == latest.get(key, 0) + 1 and version <= row["latest"]
        run.findings.check(gapless, "gapless sequence", f"{key}: {version} of {row['latest']}")
        latest[key] = version


class FlagsScenario(ApplicationScenario):
    """Flags alone."""

    name = "flags"
    parts = (Flags,)
