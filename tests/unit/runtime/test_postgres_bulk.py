"""Statements for one row, rewritten for many."""

import pytest

from runtime.storage.postgres_bulk import BulkStatement, Unsplittable, bulk_statement, joined

TEXT, NUMBER, JSON = "text", "int8", "jsonb"


def split(number: int) -> str:
    return f"string_to_array(${number}, E'\\x1f', E'\\x1e')"


def bulk(sql: str, *types: str) -> BulkStatement:
    statement = bulk_statement(sql, types)
    assert statement is not None
    return statement


def test_an_insert_selects_from_arrays() -> None:
    statement = bulk("INSERT INTO t (a, b, c) VALUES ($1, $2, $2)", TEXT, NUMBER)
    assert statement.sql == (
        "INSERT INTO t (a, b, c) SELECT u.p1, u.p2, u.p2"
        f" FROM unnest({split(1)}, CAST($2 AS int8[])) AS u (p1, p2)"
    )
    assert statement.key == ()


def test_json_travels_as_text() -> None:
    statement = bulk("INSERT INTO t (a) VALUES ($1)", JSON)
    assert statement.sql == (
        f"INSERT INTO t (a) SELECT CAST(u.p1 AS jsonb) FROM unnest({split(1)}) AS u (p1)"
    )
    assert statement.arguments([({"a": "\x1f"},), (None,), ([1],)]) == [
        '{"a":"\\u001f"}\x1f\x1e\x1f[1]'
    ]


def test_an_insert_keeps_what_it_does_on_conflict_and_knows_which_row_that_is() -> None:
    statement = bulk(
        "INSERT INTO t (b, a, n) VALUES ($1, $2, $3)"
        " ON CONFLICT (a, b) DO UPDATE SET n = excluded.n",
        TEXT,
        TEXT,
        NUMBER,
    )
    assert statement.sql.endswith(" ON CONFLICT (a, b) DO UPDATE SET n = excluded.n")
    assert statement.key == (0, 1)
    ignored = bulk("INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING", TEXT)
    assert ignored.sql.endswith(" ON CONFLICT DO NOTHING")
    assert ignored.key == ()


def test_an_update_joins_with_the_arrays_and_knows_its_row() -> None:
    statement = bulk("UPDATE t SET n = n + $3 WHERE m = $1 AND id = $2", TEXT, TEXT, NUMBER)
    assert statement.sql == (
        "UPDATE t SET n = n + u.p3 FROM"
        f" unnest({split(1)}, {split(2)}, CAST($3 AS int8[])) AS u (p1, p2, p3)"
        " WHERE m = u.p1 AND id = u.p2"
    )
    assert statement.key == (0, 1)


def test_a_delete_joins_with_the_arrays() -> None:
    statement = bulk("DELETE FROM t WHERE m = $1 AND id = $2", TEXT, TEXT)
    assert statement.sql == (
        f"DELETE FROM t USING unnest({split(1)}, {split(2)}) AS u (p1, p2)"
        " WHERE m = u.p1 AND id = u.p2"
    )


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a) VALUES ($1) RETURNING a",
        "INSERT INTO t (a) VALUES (coalesce($1, $2))",
        "INSERT INTO t (a, b) VALUES ($1, 'x, $2')",
        "INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET b = $2",
        "INSERT INTO t (a) SELECT $1",
        "UPDATE t SET id = id + $2 WHERE id = $1",
        "SELECT $1",
    ],
)
def test_what_cannot_be_rewritten_is_left_alone(sql: str) -> None:
    assert bulk_statement(sql, [TEXT, TEXT]) is None


def test_rows_are_cut_where_one_would_be_written_twice() -> None:
    statement = bulk("UPDATE t SET n = n + $2 WHERE id = $1", TEXT, NUMBER)
    rows = [("a", 1), ("b", 2), ("a", 3), ("a", 4), ("c", 5)]
    assert [list(run) for run in statement.runs(rows)] == [
        [("a", 1), ("b", 2)],
        [("a", 3)],
        [("a", 4), ("c", 5)],
    ]
    new = bulk("INSERT INTO t (id, n) VALUES ($1, $2)", TEXT, NUMBER)
    assert list(new.runs(rows)) == [rows]


def test_texts_are_joined_with_what_none_of_them_holds() -> None:
    assert joined(["a", None, ""]) == "a\x1f\x1e\x1f"
    for texts in (["a\x1fb", "c"], ["\x1e", "c"], ["\x1e", None]):
        with pytest.raises(Unsplittable):
            joined(texts)
    with pytest.raises(ValueError, match="not a text"):
        joined(["a", 1])  # type: ignore[list-item]
