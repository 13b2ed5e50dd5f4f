"""Running simulations from the command line: many with a progress bar, or one again."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import attrs
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from cli.errors import EXIT_USAGE, CommandFailed
from runtime.sim import (
    Change,
    Outcome,
    Scenario,
    Selection,
    Shrunk,
    run_script,
    run_seed,
    script_of,
    shrink,
)
from runtime.sim.report import failure_text
from runtime.sim.running import SAME_DIGEST
from supervisors.simulation.registry import SCENARIOS


def list_scenarios() -> list[str]:
    """A line for each."""
    return [
        f"{name:<12} {(each.__doc__ or '').splitlines()[0]}" for name, each in SCENARIOS.items()
    ]


def find_scenario(name: str) -> type[Scenario]:
    """Raises `CommandFailed` when there is no such scenario."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        known = ", ".join(SCENARIOS)
        raise CommandFailed(f"there is no scenario {name!r}; there are {known}", EXIT_USAGE)
    return scenario


@attrs.define
class Bar:
    """A bar on a terminal; elsewhere nothing."""

    _progress: Progress | None = None
    _task: TaskID | None = None

    def ran(self, outcome: Outcome) -> None:
        if self._progress is not None and self._task is not None:
            note = f"seed {outcome.script.seed}, {outcome.seconds:,.0f} s simulated"
            self._progress.update(self._task, advance=1, note=note)


@contextmanager
def _bar(scenario: type[Scenario], total: int) -> Iterator[Bar]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task(scenario.name, total=total, note=""))


def workers_at_most() -> int:
    """Processes that run seeds at the same time unless somebody says otherwise: one for each core
    that is ours, where processes can be forked."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def _outcomes(
    scenario: type[Scenario], seeds: Sequence[int], *, twice: bool, workers: int
) -> Iterator[Iterable[Outcome]]:
    """Those of the seeds, in their order. Who has seen enough leaves, and the processes end."""
    run = partial(run_seed, scenario, twice=twice)
    workers = min(workers, len(seeds))
    if workers <= 1:
        yield map(run, seeds)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield pool.imap(run, seeds)


def run_many(
    scenario: type[Scenario], seeds: Sequence[int], *, twice: bool, workers: int = 1
) -> bool:
    """Run seeds, in so many processes, until one fails; whether one did. Prints what came of it:
    of several that fail, of the first."""
    simulated_s, failed = 0.0, None
    running = _outcomes(scenario, seeds, twice=twice, workers=workers)
    with _bar(scenario, len(seeds)) as bar, running as outcomes:
        for outcome in outcomes:
            simulated_s += outcome.seconds
            bar.ran(outcome)
            if outcome.findings:
                failed = outcome
                break
    if failed is None:
        print(f"scenario {scenario.name}: {len(seeds)} seeds, {simulated_s:,.0f} s simulated: ok")
        return False
    print(_explained(scenario, failed))
    return True


def _explained(scenario: type[Scenario], failed: Outcome) -> str:
    if failed.rules == {SAME_DIGEST}:
        return failure_text(scenario.name, failed, Shrunk.whole(failed))
    print(f"seed {failed.script.seed} failed; looking for the least of it that fails ...")
    return failure_text(scenario.name, failed, shrink(scenario, failed))


def replay(
    scenario: type[Scenario],
    seed: int,
    *,
    steps: tuple[int, ...] | None,
    events: tuple[int, ...] | None,
    chances: tuple[str, ...] | None,
    values: tuple[str, ...],
    lines: int,
) -> bool:
    """Run one seed, or a selection of it with other values, and print how it ended; whether it
    failed."""
    script = script_of(scenario, seed)
    whole = Selection.of(script)
    try:
        selection = Selection(
            steps=whole.steps if steps is None else steps,
            events=whole.events if events is None else events,
            chances=whole.chances if chances is None else chances,
            changes=tuple(map(Change.of, values)),
        )
        chosen = selection.apply(script)
    except (IndexError, AttributeError, ValueError) as error:
        raise CommandFailed(f"seed {seed} has no such part ({error})", EXIT_USAGE) from error
    outcome = run_script(scenario, chosen)
    for title, told in (
        ("its fault plan:", chosen.plan.text()),
        ("its operations:", list(map(str, chosen.steps))),
        (f"its last {lines} lines:", list(outcome.latest[-lines:])),
    ):
        print("\n  ".join((title, *told)))
    print(f"digest {outcome.digest}, {outcome.lines:,} lines, {outcome.seconds:,.1f} s simulated")
    print("\n".join(map(str, outcome.findings)) or "ok")
    return bool(outcome.findings)
