"""The text of imports: the header of the first part, and the rows of each, in slices."""

import codecs
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

import attrs

from actors.core.importing.balances import BALANCE_COLUMNS, BalanceRows
from actors.core.importing.columns import Columns, Layout, UnknownColumns, detect_layout
from actors.core.importing.customers import CUSTOMER_COLUMNS, CustomerRows
from actors.core.importing.orders import ORDER_COLUMNS, OrderRows
from actors.core.importing.values import BadValue
from actors.core.messages import ImportKind, RowError

MAX_LINE_BYTES = 16 * 1024
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

COLUMNS: dict[ImportKind, Columns] = {
    ImportKind.CUSTOMERS: CUSTOMER_COLUMNS,
    ImportKind.ORDERS: ORDER_COLUMNS,
    ImportKind.BALANCES: BALANCE_COLUMNS,
}


class FileTrouble(ValueError):
    """The file as a whole cannot be used."""


class Rows(Protocol):
    def parse(self, line: str) -> Any:
        """What a line says. Raises `BadValue`."""


@attrs.frozen
class Slice:
    """Some rows of a part: values with their lines, and errors. `end` is where the next ones begin
    in the part, `line` the last line that was read."""

    values: tuple[Any, ...]
    lines: tuple[int, ...]
    errors: tuple[RowError, ...]
    end: int
    line: int


def header_of(content: bytes) -> tuple[str, int]:
    """The header line of the first part, and where the rows begin. Raises `FileTrouble`."""
    if content.startswith(UTF16_MARKS):
        raise FileTrouble("UTF-16 text; save it as UTF-8")
    end = content.find(b"\n", 0, MAX_LINE_BYTES) + 1 or min(len(content), MAX_LINE_BYTES)
    try:
        header = content[:end].removeprefix(codecs.BOM_UTF8).decode().strip()
    except UnicodeDecodeError:
        raise FileTrouble("not text in UTF-8") from None
    if not header or "\0" in header:
        raise FileTrouble("the first line must be a header")
    if "\r" in header:
        raise FileTrouble("lines end in carriage returns; save it with line feeds")
    return header, end


def layout_of(kind: ImportKind, header: str) -> Layout:
    """Raises `FileTrouble`."""
    try:
        return detect_layout(header, COLUMNS[kind])
    except UnknownColumns as unknown:
        raise FileTrouble(str(unknown)) from None


def rows_of(kind: ImportKind, header: str, currency: str, now: datetime) -> Rows:
    """What reads the rows below a header. Raises `FileTrouble`."""
    layout = layout_of(kind, header)
    match kind:
        case ImportKind.CUSTOMERS:
            return CustomerRows(layout)
        case ImportKind.ORDERS:
            return OrderRows(layout, currency, now)
        case ImportKind.BALANCES:
            return BalanceRows(layout, now)


def read_slice(rows: Rows, content: bytes, start: int, line: int, count: int) -> Slice:
    """Up to `count` rows of a part, from `start` on."""
    values: list[Any] = []
    lines: list[int] = []
    errors: list[RowError] = []
    end = start
    for raw in _lines(content, start):
        if len(values) + len(errors) == count:
            break
        end += len(raw)
        line += 1
        if raw.isspace():
            continue
        try:
            values.append(rows.parse(_text(raw)))
            lines.append(line)
        except BadValue as bad:
            errors.append(RowError(line, bad.column, printable(bad.value), bad.reason))
    return Slice(tuple(values), tuple(lines), tuple(errors), end, line)


def _lines(content: bytes, start: int) -> Iterator[bytes]:
    while start < len(content):
        end = content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


def _text(raw: bytes) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise BadValue("", "", f"over {MAX_LINE_BYTES} bytes long")
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadValue("", "", "not UTF-8 text") from error
    if "\0" in text:
        raise BadValue("", "", "it holds a zero byte")
    return text


def printable(text: str) -> str:
    """What may be shown and kept, whatever somebody put into a file."""
    keep: Callable[[str], bool] = str.isprintable
    return "".join(c if keep(c) else "\N{REPLACEMENT CHARACTER}" for c in text)
