"""What an import shows while it works, on stderr: a bar on a terminal, else a line at times."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cli.importing.tally import Tally

LINE_EVERY_S = 5.0


class View(Protocol):
    def reading(self, position: int, size: int, tally: Tally) -> None:
        """So many bytes of the file are dealt with."""

    def crediting(self, backlog: int) -> None:
        """All orders are recorded; so many wait for their points."""


class LineView:
    """A line every `LINE_EVERY_S`."""

    def __init__(self) -> None:
        self._due = trio.current_time() + LINE_EVERY_S

    def reading(self, position: int, size: int, tally: Tally) -> None:
        percent = 100 * position // max(size, 1)
        self._line(f"{tally.rows:,} rows ({percent} %), {tally.errors:,} errors")

    def crediting(self, backlog: int) -> None:
        self._line(f"{backlog:,} orders wait for their points")

    def _line(self, text: str) -> None:
        if trio.current_time() >= self._due:
            self._due = trio.current_time() + LINE_EVERY_S
            print(f"loyalnest: {text}", file=sys.stderr)


class BarView:
    """A bar that is drawn anew in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("importing", total=None, note="")
        self._most_backlog = 0

    def reading(self, position: int, size: int, tally: Tally) -> None:
        note = f"{tally.rows:,} rows, {tally.errors:,} errors"
        self._progress.update(self._task, total=size, completed=position, note=note)

    def crediting(self, backlog: int) -> None:
        self._most_backlog = max(backlog, self._most_backlog)
        self._progress.update(
            self._task,
            description="crediting",
            total=self._most_backlog,
            completed=self._most_backlog - backlog,
            note=f"{backlog:,} orders left",
        )


@contextmanager
def progress_view() -> Iterator[View]:
    """The view that fits stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineView()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield BarView(progress)
