"""The figures as a table, a page and a list."""

import json
import os
import platform
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from tests.bench.disk import disk, filesystem_of
from tests.bench.harness import Figure

DOCS = Path(__file__).parents[2] / "docs"
FILE = DOCS / "benchmarks.json"

OPTIMISED = "--enable-optimizations"

HEAD = """# Benchmarks

Written by `make bench`; do not edit. Both sides of a ratio ran in turns within one run, and the
ratio is the median over the rounds: compare ratios, not absolute figures, between machines.

Machine: {machine}, {filesystem}. Python {python}, built {build} profile-guided optimisation.
*Slowness* is how many times longer than on a quiet machine of this kind a piece of Python took
just before and after: others may use the same processor. *Taken* is how much of the processors'
time the host gave to others meanwhile.

| what | measured | against | ratio | goal | met | on | slowness | taken |
|---|---|---|---|---|---|---|---|---|
"""


@attrs.frozen
class Measured:
    """What a benchmark gave, how slow the processor was meanwhile, and which share of it was taken
    away."""

    figures: Sequence[Figure]
    slowness: float
    taken: float


def show(found: Iterable[Measured]) -> None:
    table = Table("what", "measured", "against", "ratio", "goal", "met", "slowness", "taken")
    for measured in found:
        for figure in measured.figures:
            table.add_row(*_cells(figure), *_others(attrs.asdict(measured, recurse=False)))
    Console(width=150).print(table)


def write(found: Mapping[str, Measured]) -> None:
    """`docs/benchmarks.md` and `docs/benchmarks.json`: these figures, by the benchmark they are
    of, instead of the ones that were measured before. Benchmarks that were not run keep theirs."""
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name, measured in found.items():
        known[name] = {"date": today, **attrs.asdict(measured)}
    FILE.write_text(json.dumps(known, indent=2) + "\n")
    head = HEAD.format(
        machine=_machine(),
        filesystem=filesystem_of(disk()) or "unknown filesystem",
        python=platform.python_version(),
        build="with" if OPTIMISED in str(sysconfig.get_config_var("CONFIG_ARGS")) else "without",
    )
    lines = [
        f"| {' | '.join((*_cells(Figure(**figure)), entry['date'], *_others(entry)))} |"
        for entry in known.values()
        for figure in entry["figures"]
    ]
    (DOCS / "benchmarks.md").write_text(head + "\n".join(lines) + "\n")


def _others(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Slowness and what was taken; figures of long ago have neither."""
    slowness, taken = entry.get("slowness"), entry.get("taken")
    return (
        f"{slowness:.1f}" if slowness is not None else "",
        f"{taken:.0%}" if taken is not None else "",
    )


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        f"{figure.value:,.4g} {figure.unit}" if figure.value < 1000 else _large(figure),
        f"{figure.against:,.0f}" if figure.against is not None else "",
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        figure.goal,
        {True: "yes", False: "no", None: ""}[figure.met],
    )


def _large(figure: Figure) -> str:
    return f"{figure.value:,.0f} {figure.unit}"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}"
