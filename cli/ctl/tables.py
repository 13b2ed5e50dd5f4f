"""What `ctl` shows on a terminal. Where nobody looks at it, the same without colours and frames."""

import json
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
    "suspended": BAD,
    "traced": ODD,
    "suspended traced": BAD,
}

WIDTH_OF_A_PIPE = 200
CONTENT_MAX = 300
TYPE = "$type"


def console() -> Console:
    """For stdout; as wide as the lines are, when that is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH_OF_A_PIPE)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Rows of text and numbers; numbers to the right, words that mean something in their colour."""
    cells = [list(row) for row in rows]
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
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


def duration(seconds: float | None) -> str | None:
    """A time in the unit that shows it best."""
    if seconds is None:
        return None
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def compact(value: Any) -> str:
    """A description of the API on one line, without its own type."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if name != TYPE}
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if len(text) <= CONTENT_MAX else text[:CONTENT_MAX] + "…"


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """One thing and what is known of it."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, _cell(value))
    return made


def statistics(found: dict[str, Any]) -> list[tuple[str, object]]:
    """What is known of one actor."""
    return [
        ("actor", f"{found['actor']} at {found['address']}"),
        ("since", f"{moment(found['since'])}, after {found['restarts']:,} restarts"),
        ("working on", found["in_hand"]),
        ("unread", f"{found['depth']:,} of {found['capacity']:,}"),
        ("waiting senders", found["waiting_senders"]),
        ("handled", found["handled"]),
        ("failed", found["failed"]),
        ("wait", _timing(found["queue_wait"])),
        ("service", _timing(found["service"])),
        ("suspended", _left(found["suspended_for_s"])),
        ("traced", _left(found["traced_for_s"])),
    ]


def _timing(found: dict[str, Any] | None) -> str | None:
    if found is None:
        return None
    mean, last, most = (duration(found[name]) for name in ("mean_s", "last_s", "max_s"))
    return f"mean {mean}, last {last}, longest {most} ({found['count']:,} timed)"


def _left(seconds: float | None) -> str:
    return "no" if seconds is None else f"for {seconds:.0f} s more"


def held_up(items: Iterable[dict[str, Any]]) -> Table:
    columns = ("ACTOR", "KIND", "SUSPENDED", "TRACED", "UNREAD", "WORKING ON")
    return table(
        columns,
        (
            [
                item["address"],
                item["actor"],
                _left(item["suspended_for_s"]),
                _left(item["traced_for_s"]),
                item["depth"],
                item["in_hand"],
            ]
            for item in items
        ),
    )


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
