"""Reads a CSV file as batches of orders, in constant memory."""

import codecs
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import attrs

from actors.core.importing.columns import Layout
from actors.core.importing.orders import OrderRows
from actors.core.importing.values import BadValue
from actors.core.messages import Order, RowError
from cli.errors import CommandFailed
from cli.importing.columns import detect_layout

BATCH_ROWS = 500
MAX_LINE_BYTES = 16 * 1024
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@attrs.frozen
class Batch:
    """The next rows of a file. `lines` are the line numbers of `orders`, `end` is the position
    behind the last row in bytes."""

    number: int
    orders: tuple[Order, ...]
    lines: tuple[int, ...]
    errors: tuple[RowError, ...]
    end: int

    @property
    def rows(self) -> int:
        return len(self.orders) + len(self.errors)


class OrderFile:
    """A CSV file of orders whose header was understood. Raises `CommandFailed` and `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size
        if not path.is_file() and not path.is_dir():
            raise CommandFailed(f"{path}: not a regular file, which is read more than once")
        with path.open("rb") as file:
            self.layout: Layout = detect_layout(_header(file))

    def batches(self, currency: str, now: datetime) -> Iterator[Batch]:
        """All batches from the start: the same file gives the same batches every time."""
        parser = OrderRows(self.layout, currency, now)
        with self.path.open("rb") as file:
            _header(file)
            line, number = 1, 0
            while True:
                batch, line = _read_batch(file, parser, number, line)
                if not batch.rows:
                    return
                yield batch
                number += 1


def _header(file: BinaryIO) -> str:
    raw = file.readline(MAX_LINE_BYTES)
    if raw.startswith(UTF16_MARKS):
        raise CommandFailed(f"{file.name}: UTF-16 text; save it as UTF-8")
    try:
        header = raw.removeprefix(codecs.BOM_UTF8).decode().strip()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{file.name}: not a CSV file in UTF-8") from error
    if not header:
        raise CommandFailed(f"{file.name}: the first line must be a header")
    if "\r" in header:
        raise CommandFailed(f"{file.name}: lines end in carriage returns; save it with line feeds")
    return header


def _read_batch(file: BinaryIO, parser: OrderRows, number: int, line: int) -> tuple[Batch, int]:
    """Up to `BATCH_ROWS` rows, and the number of the last line that was read."""
    orders: list[Order] = []
    lines: list[int] = []
    errors: list[RowError] = []
    while len(orders) + len(errors) < BATCH_ROWS:
        raw = file.readline(MAX_LINE_BYTES)
        if not raw:
            break
        line += 1
        if raw.isspace():
            continue
        try:
            orders.append(parser.parse(_text(raw, file)))
            lines.append(line)
        except BadValue as bad:
            errors.append(RowError(line, bad.column, bad.value, bad.reason))
    batch = Batch(number, tuple(orders), tuple(lines), tuple(errors), file.tell())
    return batch, line


def _text(raw: bytes, file: BinaryIO) -> str:
    if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
        _skip_line(file)
        raise BadValue("", raw[:80].decode("utf-8", "replace"), f"over {MAX_LINE_BYTES} bytes long")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        shown = raw[:80].decode("utf-8", "replace").rstrip()
        raise BadValue("", shown, "not UTF-8 text") from error


def _skip_line(file: BinaryIO) -> None:
    while (raw := file.readline(MAX_LINE_BYTES)) and not raw.endswith(b"\n"):
        pass
