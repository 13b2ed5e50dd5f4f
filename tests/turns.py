"""Workers import the test modules each in another order, so that each module is compiled once.

pytest compiles test modules in its own way, which takes seconds of processor, and keeps what it
made. All workers import all of them: in a fresh clone and in one order, each would compile all.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]


def in_turn(paths: Sequence[Path], worker: int, workers: int) -> Sequence[Path]:
    """All of them; each worker begins at another one."""
    first = len(paths) * worker // workers
    return (*paths[first:], *paths[:first])


def import_tests(folders: Iterable[Path], worker: int, workers: int) -> None:
    """Import the test modules in these folders. What cannot be imported, collecting it tells."""
    paths = sorted({path for folder in folders for path in folder.rglob("test_*.py")})
    for path in in_turn(paths, worker, workers):
        with suppress(Exception):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
