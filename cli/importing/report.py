"""The report of rows that could not be imported: a CSV file."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from actors.core.messages import RowError

HEADER = ("line", "column", "value", "reason")
SUFFIX = ".errors.csv"


class ErrorReport:
    """Made on the first error. Rows are in the order of the lines of a batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0

    def start_at(self, size_bytes: int) -> bool:
        """Go on behind what was written before; whether that much is there. 0 starts anew."""
        try:
            have = self.path.stat().st_size
        except FileNotFoundError:
            have = 0
        if have < size_bytes:
            return False
        if size_bytes == 0:
            self.path.unlink(missing_ok=True)
        else:
            with self.path.open("r+b") as file:
                file.truncate(size_bytes)
        self.size_bytes = size_bytes
        return True

    def add(self, errors: Iterable[RowError]) -> None:
        rows: list[tuple[object, ...]] = [(e.line, e.column, e.value, e.reason) for e in errors]
        if not rows:
            return
        if self.size_bytes == 0:
            rows.insert(0, HEADER)
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        with self.path.open("ab") as file:
            file.write(text.getvalue().encode())
            self.size_bytes = file.tell()


def report_path(source: Path, fallback: Path) -> Path:
    """Beside the file, unless something else lies there or that directory is read-only."""
    beside = source.with_name(source.stem + SUFFIX)
    if _is_ours(beside):
        return beside
    fallback.mkdir(parents=True, exist_ok=True)
    return fallback / beside.name


def _is_ours(path: Path) -> bool:
    existed = path.exists()
    header = (",".join(HEADER) + "\n").encode()
    try:
        with path.open("a+b") as file:
            file.seek(0)
            ours = file.read(len(header)) in {b"", header}
        if not existed:
            path.unlink()
    except OSError:
        return False
    return ours
