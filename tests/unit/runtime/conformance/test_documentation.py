"""What `docs/supervision.md` shows and names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import runtime

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "docs" / "supervision.md").read_text()


@pytest.mark.slow
def test_complete_example_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-c", example],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["main running 0", "counters running 0"]


def test_every_refusal_and_report_is_documented() -> None:
    for member in (*runtime.AdminError, *runtime.ReportKind):
        assert member.name in TEXT


def test_every_public_name_of_supervision_is_documented() -> None:
    modules = {"administration", "child", "flags", "reports", "starting", "supervisor"}
    names = [
        name
        for name in runtime.__all__
        if getattr(getattr(runtime, name), "__module__", "").removeprefix("runtime.") in modules
    ]
    assert len(names) > 30
    undocumented = {"Ignore", "Offender", "SupervisorReports"}
    assert [name for name in names if name not in TEXT and name not in undocumented] == []
