"""Where benchmarks put data that has to survive: a directory on a real disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build"
MOUNTS = Path("/proc/self/mounts")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def filesystem_of(path: Path) -> str:
    """The kind of filesystem that `path` is on, such as `ext4`; empty where nothing says so."""
    if not MOUNTS.exists():
        return ""
    mounts = [line.split()[1:3] for line in MOUNTS.read_text().splitlines()]
    above = [
        (len(Path(point).parts), kind)
        for point, kind in mounts
        if path.resolve().is_relative_to(point)
    ]
    # Of two on the same place, the later one hides the other.
    return max(enumerate(above), key=lambda item: (item[1][0], item[0]))[1][1] if above else ""


def disk() -> Path:
    """The system's temporary directory, or the checkout's `build` where that is in memory."""
    temporary = Path(tempfile.gettempdir())
    return BUILD if filesystem_of(temporary) in IN_MEMORY else temporary


@contextmanager
def directory_on_disk() -> Iterator[Path]:
    """A directory for the duration of the block."""
    parent = disk()
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="loyalnest-", dir=parent) as name:
        yield Path(name)
