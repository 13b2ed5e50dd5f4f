"""What a failure says: the seed, what went wrong, the least it takes, and how to see it again."""

from collections.abc import Sequence

from runtime.sim.running import Outcome, Script
from runtime.sim.shrinking import Selection

LAST_LINES = 40


def failure_text(
    scenario: str, failed: Outcome, selection: Selection, shrunk: Outcome, lines: int = LAST_LINES
) -> str:
    """Of a failed run, and of what it was shrunk to by `shrink`."""
    return "\n".join(
        (
            f"scenario {scenario}, seed {failed.script.seed}: FAILED",
            *(f"  {finding}" for finding in failed.findings),
            *_part("its fault plan", failed.script.plan.text()),
            *_part("the least of it that fails", _script_lines(selection, failed.script)),
            *(f"  {finding}" for finding in shrunk.findings),
            *_part(f"the last {lines} lines of that", shrunk.latest[-lines:]),
            "to see it again:",
            f"  {replay_command(scenario, failed.script, selection)}",
        )
    )


def _part(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines or ("nothing",))]


def _script_lines(selection: Selection, script: Script) -> list[str]:
    small = selection.apply(script)
    return [*small.plan.text(), *map(str, small.steps)]


def replay_command(scenario: str, script: Script, selection: Selection) -> str:
    """The command that runs a selection of a script again."""
    options = [f"--scenario {scenario}", f"--seed {script.seed}"]
    whole = Selection.of(script)
    for name in ("steps", "events", "chances"):
        chosen = getattr(selection, name)
        if chosen != getattr(whole, name):
            options.append(f"--{name} {','.join(map(str, chosen)) or 'none'}")
    return f"loyalnest sim {' '.join(options)}"
