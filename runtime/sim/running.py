"""Running a scenario: boot, operations under faults, healing, rest, the check of everything."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
import trio

from runtime.errors import ActorError
from runtime.policies import be_strict
from runtime.ports import seeded_random
from runtime.sim.faults import FaultPlan, draw_plan
from runtime.sim.findings import Finding, Findings
from runtime.sim.kernel import run_deterministically
from runtime.sim.scenario import Run, Scenario, Step, of_client
from runtime.sim.service import Service
from runtime.sim.suffering import suffer
from runtime.sim.trace import Trace, logs_into
from runtime.sim.world import World, world
from runtime.storage import StorageError
from runtime.storage.sqlite_templates import Schema

SAME_DIGEST = "same seed, same digest"

LEAK_LOOK_S = 0.37
"""Between looks at the tasks: some come and go with a timer."""

REST_MAX_S = 1_200.0
"""How long everything may take to come to rest after the faults. There is work that is due ten
minutes after what it is about, and may be tried again."""

RUN_MAX_S = 7_200.0

LOOK_S = 0.5
BREATHER_S = 10.0
"""After that, breakers that the faults opened let everybody through again."""

RECOVER_EVERY_S = 5.0
LOOKS_AT_REST = 3
"""It is at rest when so many looks in a row say so."""


@attrs.frozen(kw_only=True)
class Script:
    """What a run does: all that its seed decides beside the order of events."""

    seed: int
    steps: tuple[Step, ...]
    plan: FaultPlan


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a run. `seconds` are virtual, `lines` those of the trace."""

    script: Script
    digest: str
    findings: tuple[Finding, ...]
    seconds: float
    lines: int
    latest: tuple[str, ...]

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(finding.rule for finding in self.findings)


def script_of(scenario: type[Scenario], seed: int) -> Script:
    """What the seed says that a run of the scenario does."""
    steps = scenario().steps(seeded_random(f"{seed}/steps"))
    plan = draw_plan(seeded_random(f"{seed}/plan"), scenario.faults)
    return Script(seed=seed, steps=steps, plan=plan)


def run_script(scenario: type[Scenario], script: Script) -> Outcome:
    """Run it once, from the boot to the last check. Not from within a Trio run."""
    trace = Trace()
    findings = Findings(trace)
    with logs_into(trace), _calls_need_deadlines():
        seconds = run_deterministically(
            _main, scenario(), script, trace, findings, seed=script.seed
        )
    return Outcome(
        script=script,
        digest=trace.digest,
        findings=tuple(findings.found),
        seconds=seconds,
        lines=trace.lines,
        latest=tuple(trace.text()),
    )


@contextmanager
def _calls_need_deadlines() -> Iterator[None]:
    """What goes out of a process without a deadline raises `NoDeadline`."""
    before = be_strict(True)
    try:
        yield
    finally:
        be_strict(before)


def run_seed(scenario: type[Scenario], seed: int, *, twice: bool = False) -> Outcome:
    """Run what the seed says; `twice` to see that the digest is the same both times."""
    script = script_of(scenario, seed)
    outcome = run_script(scenario, script)
    if not twice:
        return outcome
    again = run_script(scenario, script)
    if again.digest == outcome.digest:
        return outcome
    detail = f"{outcome.digest} after {outcome.lines} lines, then {again.digest}, {again.lines}"
    finding = Finding(SAME_DIGEST, detail)
    return attrs.evolve(outcome, findings=(*outcome.findings, finding))


async def _main(scenario: Scenario, script: Script, trace: Trace, findings: Findings) -> float:
    schema = Schema(scenario.schema, tuple(scenario.tables))
    async with world(script.seed, trace, findings, schema) as outside:
        services = {
            shard: Service(outside, lambda life: scenario.tree(outside, life), shard)
            for shard in scenario.shards
        }
        run = Run(outside, services, script.plan, outside.random("clients"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_at_last, run, nursery.cancel_scope)
            await _live_through(scenario, run, script)
            nursery.cancel_scope.cancel()
    return trio.current_time()


async def _live_through(scenario: Scenario, run: Run, script: Script) -> None:
    for service in run.services.values():
        service.start()
    await run.up()
    await trio.sleep(1)
    tasks = task_names()
    await scenario.prepare(run)
    await _operate(scenario, run, script)
    if await _comes_to_rest(scenario, run):
        await trio.sleep(BREATHER_S)
        try:
            await scenario.check(run)
        except (ActorError, StorageError) as error:
            run.findings.add("answers when all is well", f"{type(error).__name__}: {error}")
        await _check_tasks(run.world, tasks)
    for service in run.services.values():
        await service.stop()


async def _end_at_last(run: Run, scope: trio.CancelScope) -> None:
    """A run that does not end is cut off, its processes with it."""
    await trio.sleep(RUN_MAX_S)
    run.findings.add("ends", f"not within {RUN_MAX_S:g} s")
    scope.cancel()
    for service in run.services.values():
        service.crash()


async def _operate(scenario: Scenario, run: Run, script: Script) -> None:
    """The clients, and the faults meanwhile. Who is still there afterwards finds that operators
    are at work."""
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_trouble, scenario, run, script.plan, done)
        async with trio.open_nursery() as clients:
            for client in range(scenario.clients):
                steps = of_client(script.steps, client)
                if steps:
                    clients.start_soon(_client, scenario, run, steps)
        done.set()


async def _trouble(scenario: Scenario, run: Run, plan: FaultPlan, done: trio.Event) -> None:
    await suffer(run.world, run.services, plan)
    while not done.is_set():
        await _recover(scenario, run)
        with trio.move_on_after(RECOVER_EVERY_S):
            await done.wait()


async def _recover(scenario: Scenario, run: Run) -> bool:
    """Whether operators could do what is theirs."""
    try:
        await run.up()
        await scenario.recover(run)
    except (ActorError, StorageError):
        return False
    return True


async def _client(scenario: Scenario, run: Run, steps: Sequence[Step]) -> None:
    for step in steps:
        await trio.sleep(step.pause_s)
        run.world.trace.note("step", str(step))
        await scenario.perform(run, step.operation)


async def _comes_to_rest(scenario: Scenario, run: Run) -> bool:
    """What a process does until it is gone may have to be recovered from as well."""
    looks = 0
    with trio.move_on_after(REST_MAX_S):
        was_alone, recovered_at = _alone(run), trio.current_time()
        await _recover(scenario, run)
        while looks < LOOKS_AT_REST:
            await trio.sleep(LOOK_S)
            alone = _alone(run)
            resting = alone and was_alone and await scenario.at_rest(run)
            looks = looks + 1 if resting else 0
            due = trio.current_time() - recovered_at >= RECOVER_EVERY_S
            if (alone and not was_alone) or (not looks and due):
                was_alone, recovered_at = alone, trio.current_time()
                await _recover(scenario, run)
    if looks < LOOKS_AT_REST:
        run.findings.add("comes to rest", f"not within {REST_MAX_S:g} s after the faults")
    return looks == LOOKS_AT_REST


def _alone(run: Run) -> bool:
    """Whether no process ends beside another one."""
    return all(len(service.lives) == 1 for service in run.services.values())


def task_names() -> Counter[str]:
    """How many tasks of each name there are."""
    root = trio.lowlevel.current_root_task()
    names: Counter[str] = Counter()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        names[task.name] += 1
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)
    return names


async def _check_tasks(outside: World, before: Counter[str]) -> None:
    """Nobody who was there after the boot has more tasks now, look after look."""
    more = task_names() - before
    for _ in range(LOOKS_AT_REST):
        await trio.sleep(LEAK_LOOK_S)
        more &= task_names() - before
    for name in sorted(more):
        if before[name] and not name.startswith("process-"):
            detail = f"{name} has {more[name]} tasks more than after the start"
            outside.findings.add("leaked task", detail)
