"""`loyalnest ctl tree`: the supervision tree of a running server, once or live."""

from collections.abc import Iterator
from typing import Any

import attrs
import click
import trio
from rich.live import Live
from rich.table import Table

from cli.ctl import tables
from cli.ctl.server import TIMEOUT_S, Server, json_option, print_json, server_command

HEALTH = "/health"
EVERY_S = 1.0
WIDE = 125
"""Columns of a terminal from which on everything has room; `BESIDES` is left out on others."""

BESIDES = frozenset({"KIND", "LAST EXIT"})

Handled = dict[str, int]
"""By address, the messages an actor has handled since its start."""


@attrs.define
class Rates:
    """How many messages each actor handles in a second, from one look to the next."""

    _handled: Handled = attrs.field(factory=dict)
    _looked_at: float | None = None

    def look(self, actors: list[dict[str, Any]], now: float) -> dict[str, float]:
        """The rates since the last look; none at the first. An actor that was started again
        counts from 0."""
        handled = {actor["address"]: actor["handled"] for actor in actors}
        before, self._handled = self._handled, handled
        since, self._looked_at = self._looked_at, now
        if since is None or now <= since:
            return {}
        return {
            address: max(0, count - before[address]) / (now - since)
            for address, count in handled.items()
            if address in before
        }


@click.command("tree", short_help="The supervision tree: who runs, who waits, who restarted.")
@click.option("--watch", is_flag=True, help="go on showing it, until Ctrl-C")
@json_option
@server_command
def tree(server: Server, watch: bool, as_json: bool) -> None:
    """Print every actor with its state, its unread messages, how long they wait and take, failures
    and restarts. Times are means of the messages that were timed."""
    if as_json:
        print_json(server.get(HEALTH)["tree"])
    elif watch:
        trio.run(_watch, server)
    else:
        rows = list(flattened(server.get(HEALTH)["tree"]))
        console = tables.console()
        console.print(_table(rows, None, console.width))


async def _watch(server: Server) -> None:
    rates = Rates()
    console = tables.console()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            found = await server.asked("GET", HEALTH, None, TIMEOUT_S)
            rows = list(flattened(found["tree"]))
            actors = [actor for _, actor in rows]
            seen = rates.look(actors, trio.current_time())
            live.update(_table(rows, seen, console.width), refresh=True)
            await trio.sleep(EVERY_S)


def flattened(actors: list[dict[str, Any]], depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every actor with its depth, in the order of the start."""
    for actor in actors:
        yield depth, actor
        yield from flattened(actor["children"] or [], depth + 1)


def _table(
    rows: list[tuple[int, dict[str, Any]]], rates: dict[str, float] | None, width: int
) -> Table:
    """With `rates` what each does in a second, otherwise what it has done in all."""
    cells = [_row(depth, actor, rates) for depth, actor in rows]
    names = cells[0].keys() if cells else ()
    shown = [name for name in names if width >= WIDE or name not in BESIDES]
    return tables.table(shown, [[row[name] for name in shown] for row in cells])


def _row(depth: int, actor: dict[str, Any], rates: dict[str, float] | None) -> dict[str, object]:
    done: dict[str, object] = {"HANDLED": actor["handled"]}
    if rates is not None:
        rate = rates.get(actor["address"])
        done = {"PER SECOND": round(rate, 1) if rate is not None else None}
    return {
        "ACTOR": "  " * depth + actor["id"],
        "KIND": actor["kind"],
        "STATE": _state(actor),
        "UNREAD": actor["mailbox_depth"],
        "WAIT": tables.duration(actor["queue_wait_s"]),
        "SERVICE": tables.duration(actor["service_s"]),
        **done,
        "FAILED": actor["failed"],
        "RESTARTS": actor["restarts"],
        "LAST EXIT": actor["last_exit"],
    }


def _state(actor: dict[str, Any]) -> str:
    """Whether it runs; where somebody holds it up or looks at it, that."""
    held = [word for word in ("suspended", "traced") if actor[word]]
    return " ".join(held) or str(actor["state"])
