"""The pytest plugin, in a test run of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
from supervisors.simulation.entities import EntitiesScenario
from tests.sim.planted.bugs import two_activations

def test_that_passes(simulate, simulation_seeds):
    assert len(simulation_seeds) == 2
    simulate(EntitiesScenario)

def test_that_fails(simulate, monkeypatch):
    two_activations(monkeypatch)
    simulate(EntitiesScenario, [0])
"""


@pytest.mark.slow
def test_its_fixtures_run_seeds_and_report_the_one_that_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    command = ["-m", "pytest", "-q", "-p", "runtime.sim.plugin", "-p", "no:cacheprovider"]
    arguments = ["--simulation-seeds", "2", "--rootdir", os.fspath(tmp_path), os.fspath(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'http'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout
    assert "scenario entities, seed 0: FAILED" in done.stdout
    assert "loyalnest sim --scenario entities --seed 0 --steps" in done.stdout
