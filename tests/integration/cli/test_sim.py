"""`loyalnest sim`: seeds, a list, one seed again, and what a person gets wrong."""

import pickle
import shlex
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.errors import EXIT_FAILED, EXIT_USAGE, CommandFailed
from cli.sim import sim
from runtime.sim import run_seed
from supervisors.simulation.points import PointsScenario
from tests.integration.cli import program
from tests.sim.planted.bugs import lot_twice, reply_before_commit

pytestmark = pytest.mark.slow


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sim, ("--workers", "1", *arguments))


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    asked = ("--scenario", "auth", "--seeds", "4", "--once")
    several = program.run("sim", *asked, "--workers", "2", cwd=tmp_path)
    assert several.code == 0, several.err
    assert several.out == run(*asked).output


def test_what_another_process_found_can_be_told_here() -> None:
    with pytest.MonkeyPatch.context() as patch:
        reply_before_commit(patch)
        found = next(o for o in map(partial(run_seed, PointsScenario), range(5)) if o.findings)
    assert pickle.loads(pickle.dumps(found)) == found


def test_seeds_that_pass_are_counted() -> None:
    result = run("--scenario", "auth", "--seeds", "2", "--first", "5")
    assert result.exit_code == 0
    assert result.output.startswith("scenario auth: 2 seeds")
    assert result.output.endswith("s simulated: ok\n")


def test_a_failure_ends_with_the_command_that_shows_it_again() -> None:
    with pytest.MonkeyPatch.context() as patch:
        lot_twice(patch)
        result = run("--scenario", "points", "--seeds", "5", "--once")
        assert result.exit_code == EXIT_FAILED
        command = shlex.split(result.output.splitlines()[-1])
        assert command[:3] == ["loyalnest", "sim", "--scenario"]
        again = run(*command[2:])
    assert again.exit_code == EXIT_FAILED
    assert "--set" in command
    assert "its operations:\n  client 0 after 0.000 s: earn 1 of ann\n" in again.output
    least = result.output.partition("(delta debugging and Hypothesis")[2]
    assert "  client 0 after 0.000 s: earn 1 of ann\n" in least
    findings = again.output.partition(" s simulated\n")[2].splitlines()
    assert findings
    assert all(f"  {finding}\n" in least for finding in findings)


def test_one_seed_is_shown_with_its_digest() -> None:
    first, second = (run("--scenario", "auth", "--seed", "3") for _ in range(2))
    assert first.exit_code == 0
    assert first.output == second.output
    assert "digest " in first.output


def test_the_scenarios_are_listed() -> None:
    names = [line.split()[0] for line in run("--list").output.splitlines()]
    assert {"everything", "points", "orders", "jobs"} <= set(names)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scenario", "nothing"), "there is no scenario 'nothing'"),
        (("--steps", "1"), "go with --seed"),
        (("--set", "step0.amount=1"), "go with --seed"),
        (("--seed", "1", "--steps", "x"), "--steps: 'x'"),
        (("--seed", "1", "--steps", "9999"), "no such part"),
        (("--seed", "1", "--chances", "weather"), "no such part"),
        (("--seed", "1", "--set", "weather=rain"), "not like step3.amount=1"),
        (("--seed", "1", "--set", "event99.at_s=0"), "no event99"),
    ],
)
def test_a_mistake_is_explained(arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, CommandFailed)
    assert result.exception.exit_code == EXIT_USAGE
    assert told in str(result.exception)
