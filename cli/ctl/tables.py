"""What `ctl` shows on a terminal. Where nobody looks at it, the same without colours and frames."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

GOOD, BAD, ODD = "green", "red", "yellow"

STYLES = {
    "closed": GOOD,
    "open": BAD,
    "half_open": ODD,
    "forced_open": BAD,
    "metrics_only": ODD,
    "disabled": ODD,
    "ok": GOOD,
    "up": GOOD,
    "down": BAD,
    "running": GOOD,
    "restarting": ODD,
    "degraded": ODD,
}

WIDTH_OF_A_PIPE = 200


def console() -> Console:
    """For stdout; as wide as the lines are, when that is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH_OF_A_PIPE)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Rows of text and numbers; numbers to the right, words that mean something in their colour."""
    cells = [list(row) for row in rows]
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        numbers = [isinstance(row[place], int | float) for row in cells if row[place] is not None]
        right = bool(numbers) and all(numbers)
        made.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in cells:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: object) -> Text:
    match value:
        case None:
            return Text("-", style="dim")
        case float():
            return Text(f"{value:g}")
        case int():
            return Text(f"{value:,}")
    text = str(value)
    return Text(text, style=STYLES.get(text, ""))


def moment(text: str | None) -> str | None:
    """A time of the API, to the second."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}" if text else None


def policies(items: Iterable[dict[str, Any]]) -> Table:
    columns = (
        *("NAME", "BREAKER", "CALLS", "FAILED", "SLOW", "REJECTED"),
        *("RUNNING", "OF", "WAITING", "RETRIES", "CHAOS"),
    )
    return table(columns, map(_policy, items))


def _policy(item: dict[str, Any]) -> list[object]:
    breaker, bulkhead = item["breaker"] or {}, item["bulkhead"] or {}
    chaos = item["chaos"]
    return [
        item["name"],
        *(breaker.get(name) for name in ("state", "calls", "failures", "slow", "rejected")),
        *(bulkhead.get(name) for name in ("in_use", "limit", "waiting")),
        (item["retries"] or {}).get("retries"),
        f"{chaos['fault']} {chaos['share']:.0%}" if chaos else None,
    ]


def switches(items: Iterable[dict[str, Any]]) -> Table:
    columns = ("WHAT", "TARGET", "STATE", "SINCE", "UNTIL", "BY", "REASON")
    return table(columns, map(_switch, items))


def _switch(item: dict[str, Any]) -> list[object]:
    more = [f"{name} {value}" for name, value in item["state"].items() if name != "state"]
    state = " ".join([item["state"]["state"], *more])
    times = (moment(item["since"]), moment(item["until"]))
    return [item["kind"], item["target"], state, *times, item["by"], item["reason"]]


def audit(items: Iterable[dict[str, Any]]) -> Table:
    columns = ("WHEN", "WHO", "ACTION", "TARGET", "MERCHANT", "BEFORE", "AFTER", "REASON", "TRACE")
    return table(columns, map(_entry, items))


def _entry(item: dict[str, Any]) -> list[object]:
    return [
        moment(item["happened_at"]),
        item["subject"],
        item["action"],
        item["target"],
        item["merchant_id"],
        _in_short(item["before"]),
        _in_short(item["after"]),
        item["reason"],
        item["trace_id"],
    ]


def _in_short(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None if value is None else str(value)
    return ", ".join(f"{name} {each}" for name, each in value.items() if each is not None)


def parts(items: Iterable[dict[str, Any]]) -> Table:
    columns = ("NAME", "CONDITION", "REQUIRED", "SINCE", "LAST ERROR")
    return table(
        columns,
        (
            [
                item["name"],
                item["condition"],
                "yes" if item["required"] else "no",
                moment(item["since"]),
                item["last_error"],
            ]
            for item in items
        ),
    )
