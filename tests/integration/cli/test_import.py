"""`import orders` as a process: good and bad files, twice, interrupted, through a server."""

import csv
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.cli.program import (
    FIXTURE,
    LOOK_S,
    TIMEOUT_S,
    Finished,
    Running,
    run,
    started,
)

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
HEADER = "order_id,customer_id,ordered_at,items,total,currency\n"
MANY = 4_000


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIXTURE, tmp_path / "orders.csv"))


def imported(file: Path, *options: str, merchant: str = "shop") -> Finished:
    return run("import", "orders", file, "--merchant", merchant, *options, cwd=file.parent)


def fixture_total() -> str:
    with FIXTURE.open(newline="") as file:
        total = sum(Decimal(row["total"]) for row in csv.DictReader(file))
    return f"{total:,} USD"


def fixture_points() -> str:
    """One point for every full dollar of an order."""
    with FIXTURE.open(newline="") as file:
        return f"{sum(int(Decimal(row['total'])) for row in csv.DictReader(file)):,}"


def report_of(file: Path) -> list[dict[str, str]]:
    with file.with_suffix(".errors.csv").open(newline="") as report:
        return list(csv.DictReader(report))


def outstanding(directory: Path) -> str:
    done = run("verify", "--merchant", "shop", cwd=directory)
    assert done.code == 0, done
    (line,) = [line for line in done.out.splitlines() if line.startswith("points outstanding")]
    return line.split()[-1]


def test_a_file_is_imported_with_its_points(small: Path) -> None:
    done = imported(small)
    assert done.code == 0, done
    assert done.err_lines == ["loyalnest: merchant shop was unknown; registered it with USD"]
    counts = done.counts()
    assert (counts["rows"], counts["recorded"], counts["errors"]) == ("60", "60", "0")
    assert counts["total"] == fixture_total()
    assert counts["points"] == fixture_points() == outstanding(small.parent)
    assert not small.with_suffix(".errors.csv").exists()
    assert list((small.parent / "data" / "imports").glob("*.json")) == []


def test_a_second_import_records_nothing_and_adds_no_points(small: Path) -> None:
    imported(small)
    done = imported(small)
    counts = done.counts()
    assert (done.code, done.err) == (0, "")
    assert (counts["recorded"], counts["duplicates"]) == ("0", "60")
    assert outstanding(small.parent) == fixture_points()


def test_a_dry_run_checks_the_file_and_makes_no_database(small: Path) -> None:
    done = imported(small, "--dry-run")
    assert done.code == 0, done
    assert done.counts()["importable"].startswith("60 ")
    assert not (small.parent / "data" / "loyalnest.db").exists()


def test_bad_rows_are_reported_with_their_lines_and_the_good_ones_are_in(tmp_path: Path) -> None:
    file = tmp_path / "mixed.csv"
    file.write_text(
        HEADER
        + "a-1,c1,2024-01-31T10:00:00Z,1,10.00,USD\n"
        + "a-2,c1,2024-02-30T10:00:00Z,1,10.00,USD\n"
        + "a-3,c1,2024-01-31T10:00:00Z,1,-5.00,USD\n"
        + "a-4,c1,2024-01-31T10:00:00Z,1,NaN,USD\n"
        + "a-5,c1,2024-01-31T10:00:00Z,1\n"
        + "\n"
        + f"a-6,{'x' * 65},2024-01-31T10:00:00Z,1,10.00,USD\n"
        + "no good,c1,2024-01-31T10:00:00Z,1,10.00,USD\n"
        + "a-1,c1,2024-01-31T10:00:00Z,1,99.00,USD\n"
        + "a-7,c2,2024-01-31T10:00:00Z,1,10.005,USD\n"
        + "a-8,c2,2024-01-31T10:00:00Z,1,20.00,USD\n"
        + "a-8,c2,2024-01-31T10:00:00Z,1,20.00,USD"
    )
    done = imported(file)
    counts = done.counts()
    assert done.code == 1
    assert (counts["rows"], counts["recorded"], counts["duplicates"]) == ("11", "2", "1")
    assert (counts["errors"], counts["total"]) == ("8", "30.00 USD")
    assert f"8 rows were not imported; see {file.with_suffix('.errors.csv')}" in done.err
    assert [(row["line"], row["column"]) for row in report_of(file)] == [
        ("3", "ordered_at"),
        ("4", "total"),
        ("5", "total"),
        ("6", ""),
        ("8", "customer_id"),
        ("9", "order_id"),
        ("10", "order_id"),
        ("11", "total"),
    ]
    reasons = {row["line"]: row["reason"] for row in report_of(file)}
    assert reasons["4"] == "must not be negative"
    assert reasons["5"] == "not a finite number"
    assert reasons["6"] == "4 columns instead of 6"
    assert "recorded before with another content" in reasons["10"]


def test_a_report_of_an_earlier_import_goes_when_the_file_is_right(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(HEADER + "a-1,c1,yesterday,1,10.00,USD\n")
    assert imported(file).code == 1
    assert report_of(file)[0]["value"] == "yesterday"
    file.write_text(HEADER + "a-1,c1,2024-01-01,1,10.00,USD\n")
    assert imported(file).code == 0
    assert not file.with_suffix(".errors.csv").exists()


def test_a_file_of_the_users_is_never_taken_for_the_report(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(HEADER + "a-1,c1,yesterday,1,10.00,USD\n")
    mine = file.with_suffix(".errors.csv")
    mine.write_text("my own notes\n")
    done = imported(file)
    assert mine.read_text() == "my own notes\n"
    assert str(tmp_path / "data" / "imports" / "orders.errors.csv") in done.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the first line must be a header"),
        (b"a,b,c\n1,2,3\n", "names no column for customer_id"),
        (b"\x1f\x8b\x08\xff", "not a CSV file in UTF-8"),
        ("customer_id".encode("utf-16"), "UTF-16"),
        (b"customer_id,ordered_at,total\rann,2026-01-01,1\r", "carriage returns"),
    ],
)
def test_a_file_that_is_no_order_file_is_one_clear_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes(content)
    done = imported(file)
    assert (done.code, done.out, len(done.err_lines)) == (1, "", 1), done
    assert said in done.err


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    done = imported(tmp_path / "none.csv")
    assert done.code == 1
    assert done.err_lines == [f"loyalnest: {tmp_path}/none.csv: No such file or directory"]


def many_orders(path: Path) -> Path:
    rows = (f"m-{n},c{n % 997},2024-01-01T00:00:00Z,1,7.00,USD\n" for n in range(MANY))
    path.write_text(HEADER + "a-bad,c1,never,1,7.00,USD\n" + "".join(rows))
    return path


@contextmanager
def half_done(file: Path) -> Iterator[Running]:
    """An import that has noted how far it is, and stands still there."""
    command = ("import", "orders", file, "--merchant", "shop")
    module = "tests.integration.cli.stopping_import"
    with started(*command, cwd=file.parent, module=module) as importing:
        status = Path(f"/proc/{importing.pid}/status")
        end = time.monotonic() + TIMEOUT_S
        while "\nState:\tT" not in status.read_text():
            assert time.monotonic() < end
            time.sleep(LOOK_S)
        yield importing


def test_an_import_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    file = many_orders(tmp_path / "many.csv")
    with half_done(file) as importing:
        importing.send(signal.SIGKILL)
        assert importing.wait() == -signal.SIGKILL
    done = imported(file)
    counts = done.counts()
    assert "going on behind row" in done.err
    assert done.code == 1
    recorded, again = (int(counts[name].replace(",", "")) for name in ("recorded", "duplicates"))
    assert recorded + again == MANY
    assert [row["line"] for row in report_of(file)] == ["2"]
    assert outstanding(tmp_path) == f"{7 * MANY:,}"


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not there")
def test_a_database_that_cannot_grow_is_one_clear_line_and_nothing_is_lost(tmp_path: Path) -> None:
    file = many_orders(tmp_path / "many.csv")
    command = ("import", "orders", file, "--merchant", "shop")
    done = run(*command, cwd=tmp_path, file_max_bytes=3 * 1024 * 1024)
    registered, reason = done.err_lines
    assert done.code == 1
    assert "registered it with USD" in registered
    assert reason == "loyalnest: no space is left for the database"
    counts = imported(file).counts()
    recorded, again = (int(counts[name].replace(",", "")) for name in ("recorded", "duplicates"))
    assert recorded + again == MANY
    assert outstanding(tmp_path) == f"{7 * MANY:,}"


def test_an_interrupted_import_whose_database_is_gone_starts_anew(tmp_path: Path) -> None:
    file = many_orders(tmp_path / "many.csv")
    with half_done(file) as importing:
        importing.send(signal.SIGINT)
        importing.send(signal.SIGCONT)
        assert importing.wait() == 128 + signal.SIGINT
    for left in (tmp_path / "data").glob("loyalnest.db*"):
        left.unlink()
    done = imported(file)
    assert "starting anew" in done.err
    assert (done.counts()["recorded"], done.counts()["duplicates"]) == (f"{MANY:,}", "0")
    assert outstanding(tmp_path) == f"{7 * MANY:,}"


def test_orders_go_through_the_server_that_has_the_data(small: Path) -> None:
    done = imported(small, merchant="shop")
    more = small.with_name("more.csv")
    more.write_text(
        small.read_text()
        + "new-1,00001,2024-05-05,1,100.00,USD\n"
        + "fx-0001,00001,2024-05-05,1,1.00,USD\n"
    )
    with started(*SERVE, cwd=small.parent) as server:
        url = server.url()
        done = imported(more)
        assert f"sending to the server at {url}" in done.err
    counts = done.counts()
    assert done.code == 1, done
    assert (counts["recorded"], counts["duplicates"], counts["errors"]) == ("1", "60", "1")
    assert counts["points"] == "100"
    assert [(row["line"], row["column"]) for row in report_of(more)] == [("63", "order_id")]


def test_a_merchant_the_server_does_not_know_is_registered(small: Path) -> None:
    with started(*SERVE, cwd=small.parent) as server:
        server.url()
        done = imported(small)
        assert done.code == 0, done
        assert "merchant shop was unknown; registered it with USD" in done.err
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    assert outstanding(small.parent) == fixture_points()
