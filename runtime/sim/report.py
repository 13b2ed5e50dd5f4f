"""What a failure says: the seed, what went wrong, the least it takes, and how to see it again."""

from collections.abc import Sequence
from shlex import quote

from runtime.sim.running import Outcome, Script
from runtime.sim.selection import Selection
from runtime.sim.shrinking import Shrunk

LAST_LINES = 40


def failure_text(scenario: str, failed: Outcome, shrunk: Shrunk, lines: int = LAST_LINES) -> str:
    """Of a failed run, and of what it was shrunk to by `shrink`."""
    small = shrunk.outcome
    return "\n".join(
        (
            f"scenario {scenario}, seed {failed.script.seed}: FAILED",
            *(f"  {finding}" for finding in failed.findings),
            *_part("its fault plan", failed.script.plan.text()),
            *_part(
                f"the least of it that fails ({shrunk.means})",
                _script_lines(small.script),
            ),
            *(f"  {finding}" for finding in small.findings),
            *_part(f"the last {lines} lines of that", small.latest[-lines:]),
            "to see it again:",
            f"  {replay_command(scenario, failed.script, shrunk.selection)}",
        )
    )


def _part(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines or ("nothing",))]


def _script_lines(script: Script) -> list[str]:
    return [*script.plan.text(), *map(str, script.steps)]


def replay_command(scenario: str, script: Script, selection: Selection) -> str:
    """The command that runs a selection of a script again."""
    options = [f"--scenario {scenario}", f"--seed {script.seed}"]
    whole = Selection.of(script)
    for name in ("steps", "events", "chances"):
        chosen = getattr(selection, name)
        if chosen != getattr(whole, name):
            options.append(f"--{name} {','.join(map(str, chosen)) or 'none'}")
    options.extend(f"--set {quote(str(change))}" for change in selection.changes)
    return f"loyalnest sim {' '.join(options)}"
