"""`loyalnest ctl stats|state|trace|suspend|resume`: looking at one actor of a running server."""

import json
from typing import Any
from urllib.parse import urlencode

import click
import trio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.ctl import tables
from cli.ctl.server import TIMEOUT_S, Server, json_option, print_json, server_command
from cli.errors import CommandFailed
from cli.tokens import Duration

ACTORS = "/v1/admin/actors"
STATISTICS, STATE = f"{ACTORS}/statistics", f"{ACTORS}/state"
SUSPENSION, TRACE = f"{ACTORS}/suspension", f"{ACTORS}/trace"

WAIT_S = 2.0
LET_GO_S = 5.0
HOUR_S = 3_600
INTERRUPTED = "interrupted"

STYLES = {"received": "cyan", "sent": "magenta", "handled": "green"}

actor_argument = click.argument("actor")
reason_option = click.option("--reason", required=True, help="why; the audit log keeps it")
for_option = click.option(
    "--for",
    "for_s",
    type=Duration(),
    metavar="TIME",
    default="60s",
    show_default=True,
    help="then it ends by itself: 90s, 15m; an hour at most",
)


@click.command("stats", short_help="What an actor does: mailbox, waits, failures.")
@click.argument("actor", required=False)
@json_option
@server_command
def stats(server: Server, actor: str | None, as_json: bool) -> None:
    """Print the statistics of ACTOR, also of one that does not answer.

    ACTOR is its place in `ctl tree` (loyalnest/domains/points/intake), its name (points.intake),
    or REGION/KEY of an entity. Without it, all that are suspended or traced at present.
    """
    if actor is None:
        items = server.get(ACTORS)["items"]
        if as_json:
            print_json(items)
        elif items:
            tables.console().print(tables.held_up(items))
        else:
            print("no actor is suspended or traced")
        return
    found = server.get(STATISTICS, actor=actor)
    print_json(found) if as_json else _print_statistics(found)


def _print_statistics(found: dict[str, Any]) -> None:
    tables.console().print(tables.facts(tables.statistics(found)))


@click.command("state", short_help="The state of an actor; --set replaces some of it.")
@actor_argument
@click.option("--set", "changes", multiple=True, metavar="NAME=JSON", help="put this value there")
@click.option("--reason", help="why; needed with --set, and kept in the audit log")
@json_option
@server_command
def state(
    server: Server, actor: str, changes: tuple[str, ...], reason: str | None, as_json: bool
) -> None:
    """Print the state of ACTOR between two messages, without what nobody is to see.

    With --set, replace fields that the actor says are replaceable: all of them or none.
    """
    if changes:
        if reason is None:
            raise click.UsageError("Missing option '--reason', which --set needs.")
        wanted = dict(map(_change, changes))
        found = server.put(STATE, {"actor": actor, "changes": wanted, "reason": reason})
    else:
        found = server.get(STATE, actor=actor)
    if as_json:
        print_json(found)
        return
    console = tables.console()
    may = ", ".join(found["replaceable"]) or "nothing"
    console.print(f"{found['actor']} at {found['address']}; replaceable: {may}", markup=False)
    console.print_json(data=found["state"])


def _change(text: str) -> tuple[str, Any]:
    name, given, value = text.partition("=")
    if not given:
        raise click.BadParameter(f"{text!r} is not NAME=JSON", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@click.command("suspend", short_help="Have an actor leave its messages unread for a time.")
@actor_argument
@for_option
@click.option("--hold", is_flag=True, help="only as long as this command runs, and shown meanwhile")
@reason_option
@json_option
@server_command
def suspend(server: Server, actor: str, for_s: int, hold: bool, reason: str, as_json: bool) -> None:
    """Suspend ACTOR: it reads no message until `ctl resume`, or until the time is up.

    What comes meanwhile waits in its mailbox, as far as there is room.
    """
    body = {"actor": actor, "for_s": _at_most_an_hour(for_s), "hold": hold, "reason": reason}
    if hold:
        trio.run(_hold, server, body)
        return
    found = server.put(SUSPENSION, body)
    print_json(found) if as_json else print(_suspended(found))


@click.command("resume", short_help="Let a suspended actor go on.")
@actor_argument
@reason_option
@json_option
@server_command
def resume(server: Server, actor: str, reason: str, as_json: bool) -> None:
    """Let ACTOR read its messages again."""
    found = server.delete(SUSPENSION, actor=actor, reason=reason)
    print_json(found) if as_json else print(_suspended(found))


async def _hold(server: Server, body: dict[str, Any]) -> None:
    found = await _begun(server, SUSPENSION, body)
    path = f"{SUSPENSION}?{urlencode({'actor': body['actor'], 'wait_s': WAIT_S})}"
    try:
        with Live(console=tables.console(), auto_refresh=False) as live:
            while found["suspended"]:
                live.update(Text(_suspended(found)), refresh=True)
                found = await server.asked("GET", path, None, TIMEOUT_S)
            live.update(Text(_suspended(found)), refresh=True)
    finally:
        if found["suspended"]:
            await _let_go(server, SUSPENSION, body["actor"])


def _suspended(found: dict[str, Any]) -> str:
    unread = f"{found['depth']:,} unread of {found['capacity']:,}"
    if not found["suspended"]:
        return f"{found['address']} reads its messages; {unread}"
    return f"{found['address']} is suspended for {found['suspended_for_s']:.0f} s more; {unread}"


@click.command("trace", short_help="Show which messages an actor gets and sends.")
@actor_argument
@for_option
@click.option("--events", type=click.IntRange(1, 10_000), default=1_000, show_default=True)
@reason_option
@json_option
@server_command
def trace(server: Server, actor: str, for_s: int, events: int, reason: str, as_json: bool) -> None:
    """Print the messages of ACTOR as they come and go, until the time is up, until there were so
    many events, or until Ctrl-C. Nothing is taken down any more then.

    --json prints every event on a line of its own.
    """
    body = {
        "actor": actor,
        "for_s": _at_most_an_hour(for_s),
        "events": events,
        "hold": True,
        "reason": reason,
    }
    trio.run(_follow, server, body, as_json)


async def _follow(server: Server, body: dict[str, Any], as_json: bool) -> None:
    console = tables.console()
    found = await _begun(server, TRACE, body)
    try:
        while found["end"] is None:
            query = {"actor": found["actor"], "after": found["count"], "wait_s": WAIT_S}
            found = await server.asked("GET", f"{TRACE}?{urlencode(query)}", None, TIMEOUT_S)
            _print_events(console, found, as_json)
    finally:
        if found["end"] is None:
            await _let_go(server, TRACE, body["actor"])
    if not as_json:
        console.print(f"{found['count']:,} events; {found['end']}", style="dim", markup=False)


def _print_events(console: Console, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        for event in found["events"]:
            click.echo(json.dumps(event))
        return
    if found["missed"]:
        console.print(f"{found['missed']:,} events missed", style="yellow", markup=False)
    for event in found["events"]:
        console.print(_line(event), soft_wrap=True)
    console.file.flush()


def _line(event: dict[str, Any]) -> Text:
    line = Text(f"{event['at'][11:23]} ")
    line.append(f"{event['kind']:<9}", STYLES[event["kind"]])
    line.append(event["message"], "bold")
    failed = (event["outcome"] or "").startswith("failed")
    parts = (
        (" to " if event["kind"] == "sent" else " from ", event["peer"], ""),
        (" ", event["outcome"], "red" if failed else ""),
        (" in ", tables.duration(event["service_s"]), ""),
        (" after ", tables.duration(event["wait_s"]), ""),
        (" ", tables.compact(event["content"]), "dim"),
    )
    for before, value, style in parts:
        if value:
            line.append(f"{before}{value}", style)
    return line


async def _begun(server: Server, path: str, body: dict[str, Any]) -> Any:
    """Hold an actor. Who breaks off before the answer is there lets go as well."""
    try:
        return await server.asked("PUT", path, body, TIMEOUT_S)
    except (KeyboardInterrupt, trio.Cancelled):
        await _let_go(server, path, body["actor"])
        raise


async def _let_go(server: Server, path: str, actor: str) -> None:
    """Where that fails, the server lets go by itself a few seconds later."""
    query = urlencode({"actor": actor, "reason": INTERRUPTED})
    with trio.CancelScope(shield=True, deadline=trio.current_time() + LET_GO_S):
        try:
            await server.asked("DELETE", f"{path}?{query}", None, LET_GO_S)
        except CommandFailed as error:
            click.echo(str(error), err=True)


def _at_most_an_hour(for_s: int) -> int:
    if for_s > HOUR_S:
        raise click.BadParameter("an hour at most", param_hint="--for")
    return for_s


COMMANDS = (stats, state, suspend, resume, trace)
