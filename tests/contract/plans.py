"""How SQLite carries out the statements of the program: those that look at more than they return.

`python -m tests.contract.plans` writes the list anew, after somebody has looked at what is new.
"""

import pkgutil
import re
import sqlite3
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import actors
import runtime
from runtime import host
from runtime.storage import Statement
from runtime.storage.sqlite_values import sqlite_sql
from tests.contract.golden import FOLDER, sqlite_schema

FILE = FOLDER / "sqlite_wide_plans.txt"

STATEMENT = re.compile(r"(SELECT|WITH|INSERT INTO|UPDATE|DELETE FROM) ")
PLACEHOLDER = re.compile(r"%s|\{\w*\}")
NUMBERED = re.compile(r"\?(\d+)")
ELSEWHERE = re.compile(r"::|\b(pg_\w+|now|set_config)\(|FOR UPDATE|->>|clock_timestamp")
WIDE = re.compile(r"^SCAN (?!\S*(CONSTANT|subquery)|\d+ CONSTANT)|\(merchant_id=\?\)")
LIST_LENGTH = 30


def statements() -> Iterator[tuple[str, str]]:
    """Every statement that is the value of a name in a module, by that name."""
    seen: set[str] = set()
    for package in (actors, runtime):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(import_module(found.name)).items():
                for sql in _texts(value):
                    if sql not in seen and STATEMENT.match(sql) and not ELSEWHERE.search(sql):
                        seen.add(sql)
                        yield f"{found.name}.{name}", sql


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, Statement):
        return (value.sql,)
    return (value,) if isinstance(value, str) else ()


def filled(sql: str) -> str:
    """With as many values as come in a list."""
    first = max(map(int, re.findall(r"\$(\d+)", sql)), default=0) + 1
    values = ", ".join(f"${number}" for number in range(first, first + LIST_LENGTH))
    return PLACEHOLDER.sub(values, sql)


def wide_plans(schema: str) -> list[str]:
    """The steps that read a whole table, or all that a merchant has of one."""
    connection = sqlite3.connect(":memory:")
    for statement in sorted(schema.split(";\n\n"), key=lambda text: "CREATE TABLE" not in text):
        connection.executescript(f"{statement};")
    lines: set[str] = set()
    for name, sql in statements():
        lines.update(f"{name}: {step}" for step in _steps(connection, sql) if WIDE.search(step))
    connection.close()
    return sorted(lines)


def _steps(connection: sqlite3.Connection, sql: str) -> Iterator[str]:
    text = sqlite_sql(filled(sql))
    values = (None,) * max(map(int, NUMBERED.findall(text)), default=0)
    try:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
    except sqlite3.Error:
        return  # a part of a statement, or one for PostgreSQL
    yield from (row[3] for row in rows)


def write() -> None:
    FILE.write_text("\n".join(wide_plans(host.run(sqlite_schema))) + "\n")


if __name__ == "__main__":
    write()
