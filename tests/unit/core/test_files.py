"""Rows of customers and opening balances, as shopkeepers' files have them."""

from datetime import UTC, datetime

import pytest

from actors.core.import_files import (
    FileTrouble,
    Slice,
    header_of,
    layout_of,
    read_slice,
    rows_of,
)
from actors.core.importing.balances import OpeningBalance
from actors.core.messages import Channel, CustomerData, ExternalId, ImportKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CUSTOMERS, BALANCES = ImportKind.CUSTOMERS, ImportKind.BALANCES


def read(kind: ImportKind, content: bytes) -> Slice:
    header, start = header_of(content)
    return read_slice(rows_of(kind, header, "USD", NOW), content, start, 1, 100)


def reason(kind: ImportKind, content: bytes) -> tuple[int, str, str]:
    """Line, column and shown value of the only error."""
    found = read(kind, content)
    (error,) = found.errors
    assert found.values == ()
    return error.line, error.column, error.value


def test_a_customer_export_of_a_shop_is_understood() -> None:
    content = (
        b"\xef\xbb\xbfCustomer ID,First Name,Last Name,Email,Accepts Email Marketing,Phone,Note\r\n"
        b"'7055,Anna,O\xe2\x80\x99Hara,anna@example.ch,yes,'+41 79 555 12 34,\"likes, roses\"\r\n"
    )
    assert read(CUSTOMERS, content).values == (
        CustomerData(
            customer_id="7055",
            display_name="Anna O\u2019Hara",
            email="anna@example.ch",
            phone="+41 79 555 12 34",
            consents=((Channel.EMAIL, True),),
        ),
    )


def test_customers_may_be_named_by_another_system() -> None:
    found = read(CUSTOMERS, b"external_id;source;name\n77;till;Ada\n78;;Bob\n")
    ids = [value.external_ids for value in found.values]
    assert ids == [(ExternalId("till", "77"),), (ExternalId("import", "78"),)]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (b"a,x,", "email"),
        (b"a,a@example.com,0795551234", "phone"),
        (b",a@example.com,", "customer_id"),
        (b"a b,a@example.com,", "customer_id"),
        (b"a,a@example.com", ""),
        (b'a,"a@example.com,', ""),
        (b"a,\xff@example.com,", ""),
        (b"a,\0,", ""),
    ],
)
def test_a_bad_row_has_its_line_and_tells_nobodys_address(row: bytes, column: str) -> None:
    line, found, value = reason(CUSTOMERS, b"customer_id,email,phone\n\n" + row + b"\n")
    assert (line, found) == (3, column)
    assert "@" not in value


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (b"a;0;", "points"),
        (b"a;-5;", "points"),
        (b"a;1.5;", "points"),
        (b"a;5;2001-01-01", "expires_at"),
        (b"a;5;soon", "expires_at"),
    ],
)
def test_balances_are_whole_and_last(row: bytes, column: str) -> None:
    assert reason(BALANCES, b"customer;balance;expires\n" + row)[1] == column


def test_an_opening_balance_happens_once_whatever_file_it_stands_in() -> None:
    (first,) = read(BALANCES, b"customer,points\nada,50\n").values
    (again,) = read(BALANCES, b"points;member_id\n50;ada\n").values
    assert first == again == OpeningBalance("ada", 50)
    assert first.key == "opening-balance:ada"
    assert first.fingerprint != OpeningBalance("ada", 51).fingerprint


def test_a_part_is_read_in_slices_that_join() -> None:
    content = b"customer_id\n" + b"".join(b"c%d\n" % number for number in range(250)) + b"last"
    header, place = header_of(content)
    rows, line, seen = rows_of(CUSTOMERS, header, "USD", NOW), 1, 0
    while place < len(content):
        found = read_slice(rows, content, place, line, 40)
        seen += len(found.values)
        assert found.lines == tuple(range(line + 1, found.line + 1))
        place, line = found.end, found.line
    assert (seen, line) == (251, 252)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff\xfea\0", b"\xff,\xfe\n", b"a\rb\rc", b"name,email\nx,y\n"]
)
def test_a_file_that_is_none_is_told_so(content: bytes) -> None:
    with pytest.raises(FileTrouble):
        layout_of(CUSTOMERS, header_of(content)[0])
