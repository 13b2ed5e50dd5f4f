"""Reading order files: columns, amounts, dates, ids, odd bytes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.core.importing.money import major_units, minor_units
from actors.core.messages import Order
from cli.errors import CommandFailed
from cli.importing.columns import detect_layout
from cli.importing.reader import BATCH_ROWS, MAX_LINE_BYTES, Batch, OrderFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = b"order_id,customer_id,ordered_at,items,total,currency\n"
ROW = b"a-1,c1,2024-02-29T12:30:00Z,2,11.77,USD\n"
ORDER = Order("a-1", "c1", datetime(2024, 2, 29, 12, 30, tzinfo=UTC), "USD", 1177, 2)


def batches(tmp_path: Path, content: bytes) -> list[Batch]:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    return list(OrderFile(path).batches("EUR", NOW))


def orders(tmp_path: Path, content: bytes) -> list[Order]:
    read = batches(tmp_path, content)
    assert [error for batch in read for error in batch.errors] == []
    return [order for batch in read for order in batch.orders]


def reason(tmp_path: Path, content: bytes) -> tuple[str, str]:
    """Column and reason of the only error."""
    (error,) = [error for batch in batches(tmp_path, content) for error in batch.errors]
    return error.column, error.reason


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("11.77", "USD", 1177),
        ("0.29", "USD", 29),
        ("1.10", "USD", 110),
        ("12", "USD", 1200),
        ("12.5000", "USD", 1250),
        ("4503599627370.97", "USD", 450359962737097),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
    ],
)
def test_amounts_become_minor_units_exactly(text: str, currency: str, minor: int) -> None:
    assert minor_units(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "why"),
    [
        ("", "USD", "missing"),
        ("-1.00", "USD", "negative"),
        ("nan", "USD", "finite"),
        ("-Infinity", "USD", "finite"),
        ("1.005", "USD", "2 decimal places"),
        ("1.5", "JPY", "0 decimal places"),
        ("1e3", "USD", "plain decimal"),
        ("1,000.00", "USD", "plain decimal"),
        ("١٢", "USD", "plain decimal"),
        ("9" * 14, "USD", "plain decimal"),
    ],
)
def test_amounts_that_are_not_exact_are_refused(text: str, currency: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        minor_units(text, currency)


def test_money_is_shown_with_the_places_of_its_currency() -> None:
    assert major_units(250031563, "USD") == "2,500,315.63"
    assert major_units(1500, "JPY") == "1,500"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_marks_and_line_ends_do_not_matter(
    tmp_path: Path, mark: bytes, end: bytes
) -> None:
    content = mark + (HEADER + ROW + b"\n" + ROW.replace(b"a-1", b"a-2")).replace(b"\n", end)
    assert [order.order_id for order in orders(tmp_path, content)] == ["a-1", "a-2"]
    assert orders(tmp_path, content.rstrip())[0] == ORDER


def test_line_numbers_count_empty_lines(tmp_path: Path) -> None:
    (batch,) = batches(tmp_path, HEADER + b"\n\n" + ROW + b"\nbad\n")
    assert batch.lines == (4,)
    assert [error.line for error in batch.errors] == [6]


def test_other_names_orders_and_delimiters_of_columns_are_found(tmp_path: Path) -> None:
    content = b'Date;"Amount";Customer;Note\n2024-02-29;5;c1;"a;b"\n'
    (order,) = orders(tmp_path, content)
    assert (order.customer_id, order.total_minor, order.currency) == ("c1", 500, "EUR")
    assert detect_layout("date,total,customer_id,note").ignored == ("note",)


def test_a_header_without_a_needed_column_names_it() -> None:
    with pytest.raises(CommandFailed, match="total"):
        detect_layout("order_id,customer_id,ordered_at")


def test_rows_without_ids_get_the_same_ids_every_time(tmp_path: Path) -> None:
    content = b"customer_id,date,total\nc1,2024-01-01,5\nc1,2024-01-01,5\nc2,2024-01-01,5\n"
    ids = [order.order_id for order in orders(tmp_path, content)]
    assert len(set(ids)) == 3
    assert ids == [order.order_id for order in orders(tmp_path, content)]
    shifted = content.replace(b"total\n", b"total\nc9,2024-01-01,5\n")
    assert set(ids) < {order.order_id for order in orders(tmp_path, shifted)}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        (b"2024-02-29 08:15", datetime(2024, 2, 29, 8, 15, tzinfo=UTC)),
        (b"2024-02-29T08:15:30+02:00", datetime(2024, 2, 29, 6, 15, 30, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_utc(tmp_path: Path, text: bytes, moment: datetime) -> None:
    (order,) = orders(tmp_path, HEADER + ROW.replace(b"2024-02-29T12:30:00Z", text))
    assert order.ordered_at == moment
    assert order.ordered_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("before", "after", "column", "why"),
    [
        (b"2024-02-29T", b"2023-02-29T", "ordered_at", "not a date"),
        (b"2024-02-29T12:30:00Z", b"20240229", "ordered_at", "not a date"),
        (b"2024-02-29T12:30:00Z", b"0001-01-01T00:00:00+14:00", "ordered_at", "not a date"),
        (b"2024", b"1968", "ordered_at", "before 1970"),
        (b"2024", b"2028", "ordered_at", "in the future"),
        (b",2,", b",two,", "items", "whole number"),
        (b",2,", b",-2,", "items", "whole number"),
        (b",2,", b",1000001,", "items", "whole number"),
        (b"11.77", b"9999999999999", "total", "more than"),
        (b"USD", b"usd", "currency", "currency code"),
        (b"a-1", b"", "order_id", "missing"),
        (b"a-1", b"a\x00", "order_id", "must be"),
        (b"c1", b"x" * 65, "customer_id", "must be"),
        (b"c1", b'"c1', "", "quotes"),
        (b"c1", b"c\xff", "", "UTF-8"),
        (b"c1", b"c1,c1", "", "7 columns instead of 6"),
        (b"c1", b"x" * MAX_LINE_BYTES, "", "bytes long"),
    ],
)
def test_a_row_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, before: bytes, after: bytes, column: str, why: str
) -> None:
    found, said = reason(tmp_path, HEADER + ROW.replace(before, after) + ROW)
    assert found == column
    assert why in said


def test_a_line_that_never_ends_is_one_error_and_the_next_is_read(tmp_path: Path) -> None:
    (batch,) = batches(tmp_path, HEADER + b"x" * (5 * MAX_LINE_BYTES) + b"\n" + ROW)
    assert [error.line for error in batch.errors] == [2]
    assert (batch.orders, batch.lines) == ((ORDER,), (3,))


def test_batches_are_bounded_and_the_same_every_time(tmp_path: Path) -> None:
    content = HEADER + (ROW + b"bad\n") * BATCH_ROWS
    read = batches(tmp_path, content)
    assert [batch.rows for batch in read] == [BATCH_ROWS, BATCH_ROWS]
    assert [batch.number for batch in read] == [0, 1]
    assert read == batches(tmp_path, content)
    assert read[-1].end == len(content)
