"""The commands of `loyalnest ctl`."""

from typing import Any

import click

from cli.ctl import actors, tables
from cli.ctl.server import Server, json_option, print_json, segment, server_command
from cli.ctl.tree import tree
from cli.errors import EXIT_FAILED
from cli.tokens import Duration

POLICIES = "/v1/admin/policies"
SHEDDING = "/v1/admin/shedding"
SWITCHES = "/v1/admin/switches"
AUDIT = "/v1/admin/audit"
VERIFY_TIMEOUT_S = 300.0

STATES = ("automatic", "forced_open", "metrics_only", "disabled")
FAULTS = ("delay", "error", "hang")
PRIORITIES = ("webhooks", "writes", "reads", "dashboards")
OFF = "off"

reason_option = click.option("--reason", required=True, help="why; the audit log keeps it")
for_option = click.option(
    "--for", "for_s", type=Duration(), metavar="TIME", help="then it goes by itself again: 90s, 15m"
)


@click.group("ctl", short_help="Look at a running server, and switch things in it.")
def ctl() -> None:
    """Look at a running server, and switch things in it.

    It is found by the data directory, whose key signs the requests. Every switch is in the audit
    log before it takes effect.
    """


@ctl.command("health", short_help="How the server and all its parts are.")
@json_option
@server_command
def health(server: Server, as_json: bool) -> None:
    """Print how the server is, what it stands on, and what operators have switched.

    The exit code is 1 unless all is well.
    """
    found = server.get("/health")
    if as_json:
        print_json(found)
    else:
        _print_health(found)
    if found["status"] != "ok":
        raise SystemExit(EXIT_FAILED)


def _print_health(found: dict[str, Any]) -> None:
    console = tables.console()
    style = tables.STYLES.get(found["status"], tables.BAD)
    console.print(f"[{style}]{found['status']}[/]  version {found.get('version', '?')}")
    console.print(tables.parts([*found.get("dependencies", ()), *found.get("domains", ())]))
    if found.get("switches"):
        console.print(tables.switches(found["switches"]))


@ctl.command("policies", short_help="Every dependency with its policies.")
@json_option
@server_command
def policies(server: Server, as_json: bool) -> None:
    """Print breaker, bulkhead, retries and faults of every dependency, as they are now."""
    items = server.get(POLICIES)["items"]
    print_json(items) if as_json else tables.console().print(tables.policies(items))


@ctl.command("switches", short_help="What operators have switched.")
@json_option
@server_command
def switches(server: Server, as_json: bool) -> None:
    """Print what does not go by itself at present, until when, and who wanted it."""
    items = server.get(SWITCHES)["items"]
    print_json(items) if as_json else tables.console().print(tables.switches(items))


@ctl.command("breaker", short_help="Hold a breaker in a state, or let it go.")
@click.argument("name")
@click.argument("state", type=click.Choice(STATES))
@reason_option
@for_option
@json_option
@server_command
def breaker(
    server: Server, name: str, state: str, reason: str, for_s: int | None, as_json: bool
) -> None:
    """Hold the breaker of the dependency NAME in STATE; `automatic` lets it go by itself again."""
    body = {"state": state, "reason": reason, "for_s": for_s}
    _print_policy(server.put(f"{POLICIES}/{segment(name)}/breaker", body), as_json)


@ctl.command("chaos", short_help="Make faults on purpose, or none any more.")
@click.argument("name")
@click.argument("fault", type=click.Choice((*FAULTS, OFF)))
@click.option("--share", type=click.FloatRange(0, 1), default=1.0, help="of the calls; 1: all")
@click.option("--delay", "delay_s", type=click.FloatRange(0, 3_600), default=0.0, help="seconds")
@click.option("--spread", "spread_s", type=click.FloatRange(0, 3_600), default=0.0, help="seconds")
@reason_option
@for_option
@json_option
@server_command
def chaos(
    server: Server,
    name: str,
    fault: str,
    reason: str,
    as_json: bool,
    **how: float | None,
) -> None:
    """Let calls of the dependency NAME take longer, fail or hang; `off` ends it.

    Only where the setting chaos_allowed is on, so never in production.
    """
    path = f"{POLICIES}/{segment(name)}/chaos"
    if fault == OFF:
        found = server.delete(path, reason=reason)
    else:
        found = server.put(path, {"fault": fault, "reason": reason, **how})
    _print_policy(found, as_json)


@ctl.command("shed", short_help="Turn requests away by their priority.")
@click.argument("priorities", nargs=-1, type=click.Choice(PRIORITIES))
@click.option(
    "--mode",
    type=click.Choice(("automatic", "disabled")),
    default="automatic",
    help="whether to shed load by itself",
)
@reason_option
@for_option
@json_option
@server_command
def shed(
    server: Server,
    priorities: tuple[str, ...],
    mode: str,
    reason: str,
    for_s: int | None,
    as_json: bool,
) -> None:
    """Turn away all requests of these PRIORITIES; none named: let load shedding go by itself."""
    body = {"shed": list(priorities), "mode": mode, "reason": reason, "for_s": for_s}
    found = server.put(SHEDDING, body)
    if as_json:
        print_json(found)
        return
    turned_away = ", ".join(found["shed_by_hand"]) or "nothing"
    print(f"{found['mode']}; turned away by hand: {turned_away}")


@ctl.command("audit", short_help="What operators did.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--merchant", metavar="ID", help="only what concerns this merchant")
@click.option("--platform", is_flag=True, help="only what concerns no merchant")
@click.option("--verify", is_flag=True, help="recompute the hash chains instead")
@json_option
@server_command
def audit(
    server: Server, limit: int, merchant: str | None, platform: bool, verify: bool, as_json: bool
) -> None:
    """Print the latest entries of the audit log. With --verify the exit code is 1 when an entry
    was changed or taken away."""
    if verify:
        _verify(server, as_json)
        return
    query: dict[str, Any] = {
        "limit": limit,
        "merchant_id": merchant,
        "platform": "true" if platform else None,
    }
    items = server.get(AUDIT, **query)["items"]
    print_json(items) if as_json else tables.console().print(tables.audit(items))


def _verify(server: Server, as_json: bool) -> None:
    found = server.get(f"{AUDIT}/verify", VERIFY_TIMEOUT_S)
    if as_json:
        print_json(found)
    else:
        print(f"{found['entries']:,} entries in {found['chains']:,} chains")
        for broken in found["broken"]:
            whose = broken["merchant_id"] or "the platform"
            print(f"BROKEN chain of {whose}, entry {broken['sequence']}: {broken['detail']}")
        print("clean" if found["clean"] else "NOT CLEAN")
    if not found["clean"]:
        raise SystemExit(EXIT_FAILED)


def _print_policy(found: dict[str, Any], as_json: bool) -> None:
    print_json(found) if as_json else tables.console().print(tables.policies([found]))


for command in (tree, *actors.COMMANDS):
    ctl.add_command(command)
