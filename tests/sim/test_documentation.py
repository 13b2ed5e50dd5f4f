"""The example of docs/simulation.md is complete, passes, and finds what it is there to find."""

import re
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import Journal
from runtime.sim import Scenario, Trouble, run_seed
from tests.sim.planted.bugs import reply_before_commit

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.fixture(scope="module")
def example() -> type[Scenario]:
    text = DOCUMENT.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    for block in blocks[:2]:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    scenario: type[Scenario] = names["CounterScenario"]
    return scenario


@pytest.mark.slow
def test_the_example_passes(example: type[Scenario]) -> None:
    for seed in range(20):
        assert run_seed(example, seed, twice=True).findings == ()


def test_the_example_finds_a_journal_that_answers_too_early(example: type[Scenario]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        reply_before_commit(patch)
        assert Journal.receive_batch.__qualname__.startswith("reply_before_commit")
        found = [run_seed(example, seed).rules for seed in range(10)]
    assert any("every addition once" in rules for rules in found)


def test_every_fault_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    for word in ("lost", "twice", "away", "forgotten", "takes over", "crash at a commit", "ahead"):
        assert word in text
    for word in ("cut", "refused", "silence", "one way"):
        assert word in text
    assert len(Trouble) == 14
