"""The one-file binary is built while other tests run, as it takes most of a minute."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
SPEC = "loyalnest.spec"
TIMEOUT_S = 240


@attrs.frozen
class BinaryBuild:
    """A build under way."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    def wait(self) -> Path:
        """The binary, once it is there."""
        assert self.process.wait(TIMEOUT_S) == 0
        return self.folder / "loyalnest"


@contextmanager
def building() -> Iterator[BinaryBuild]:
    """Start a build at low priority, and leave nothing of it behind."""
    with tempfile.TemporaryDirectory(prefix="loyalnest-binary-") as name:
        folder = Path(name)
        options = ["--noconfirm", "--log-level", "ERROR", "--distpath", name]
        build = [sys.executable, "-m", "PyInstaller", *options, "--workpath", str(folder / "work")]
        process = subprocess.Popen(["nice", *build, SPEC], cwd=ROOT)
        try:
            yield BinaryBuild(folder, process)
        finally:
            process.kill()
            process.wait(TIMEOUT_S)
