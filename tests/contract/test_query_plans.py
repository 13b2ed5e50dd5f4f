"""Statements that read more than they need, compared with those that were looked at."""

from runtime import host
from tests.contract.golden import sqlite_schema
from tests.contract.plans import FILE, statements, wide_plans


def test_statements_look_only_at_what_they_are_about() -> None:
    """What is new here reads a table, or all that a merchant has of it: a report may do that, or
    something of which there is little. Anything else needs an index, or to use the one there is."""
    found = wide_plans(host.run(sqlite_schema))
    assert found == FILE.read_text().splitlines()


def test_all_statements_were_looked_at() -> None:
    names = {name for name, _ in statements()}
    assert len(names) > 200
    assert "actors.points.lookups.SELECT_KEYS" in names
    assert "actors.core.customer_queries.SELECT_CONTACTS" in names
