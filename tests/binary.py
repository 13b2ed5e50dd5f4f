"""The one-file binary is built while other tests run, as it takes most of a minute.

One process builds, which with several workers is not one of those that test: they find the
binary in the folder they are told of, and know by a lock when it is finished.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
SPEC = "loyalnest.spec"
LOCK = "building"
LOG = "build.log"
TIMEOUT_S = 900
COMPRESSION = {"PYINSTALLER_ZLIB_COMPRESSION_LEVEL": "1"}
"""A fifth of the build is to compress as well as can be: for a release, not for one test."""


@attrs.frozen
class BinaryBuild:
    """A build in `folder`: planned, under way or done."""

    folder: Path

    @property
    def begun(self) -> bool:
        return (self.folder / LOCK).exists()

    def wait(self) -> Path:
        """The binary, once it is there. The build that has begun ends by itself."""
        with (self.folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        binary = self.folder / "loyalnest"
        assert binary.exists(), (self.folder / LOG).read_text()
        return binary

    @contextmanager
    def running(self) -> Iterator[None]:
        """Build, for `TIMEOUT_S` at most, until the end of the block.

        The build holds the lock for as long as it runs.
        """
        limits = ["timeout", str(TIMEOUT_S)]
        program = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"]
        paths = ["--distpath", str(self.folder), "--workpath", str(self.folder / "work"), SPEC]
        with (self.folder / LOCK).open("w") as lock, (self.folder / LOG).open("w") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen(
                [*limits, *program, *paths],
                cwd=ROOT,
                env={**os.environ, **COMPRESSION},
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@contextmanager
def planned_build() -> Iterator[BinaryBuild]:
    """A folder to build in, of which nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="loyalnest-binary-") as name:
        yield BinaryBuild(Path(name))
