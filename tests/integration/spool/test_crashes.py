"""Killed at every call that a spool makes to the operating system: nothing promised is lost."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runtime.spool import FileSpool
from tests.integration.cli.program import ROOT, environment
from tests.integration.spool.crashing import LIMITS, WAYS, payload

pytestmark = pytest.mark.slow

TIMEOUT_S = 300.0


def crashes(folder: Path) -> list[dict[str, Any]]:
    """What the processes promised before they died, by the directory they worked on."""
    module = "tests.integration.spool.crashing"
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder)],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env=environment(),
        timeout=TIMEOUT_S,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


async def check(folder: Path, appended: int, acknowledged: int, attempts: int = 1) -> None:
    """What was promised is there, in order, once; what was under way is there or is not."""
    spool = await FileSpool.open(folder, LIMITS)
    records = await spool.read(0, 1_000)
    statistics = spool.statistics()
    first = statistics.acknowledged + 1
    assert acknowledged <= statistics.acknowledged <= acknowledged + attempts
    sequences = [record.sequence for record in records]
    assert sequences == list(range(first, first + len(sequences)))
    last = sequences[-1] if sequences else statistics.acknowledged
    assert appended <= last <= appended + 2 * attempts
    assert all(record.payload == payload(record.sequence) for record in records)
    assert statistics.lost == 0
    assert await spool.append([payload(last + 1)]) == range(last + 1, last + 2)
    await spool.close()


async def test_a_crash_at_any_call_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    by_folder: dict[str, list[dict[str, Any]]] = {}
    for told in crashes(tmp_path):
        by_folder.setdefault(told["folder"], []).append(told)
    for folder, attempts in by_folder.items():
        appended = max(told["appended"] for told in attempts)
        acknowledged = max(told["acknowledged"] for told in attempts)
        await check(Path(folder), appended, acknowledged, len(attempts))
    ways = Counter(Path(folder).name.rpartition("-")[0] for folder in by_folder)
    assert all(ways[how] > 60 for how in WAYS), ways
    assert len(by_folder[str(tmp_path / "again-and-again")]) == 15
