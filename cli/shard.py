"""`loyalnest shard`: one process of a plan, started by hand or by the parent that keeps it."""

import os
from pathlib import Path

import attrs
import click
import structlog
import trio
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from cli.errors import EXIT_USAGE, CommandFailed
from cli.lifeline import Lifeline
from cli.limiting import limit_memory
from cli.link_keys import link_secrets
from cli.link_tls import link_network, readable_links
from cli.options import settings_options
from cli.parent import PLAN_TEXT_ENV, check_storage
from cli.plain_port import Page, Pages, PlainPort, word
from cli.running import Run, StopPlan, run_command
from cli.serve import Serving, serve_until_cancelled, take_leave
from cli.watchdog import watching
from config import Settings
from config.errors import unknown
from config.plans import Plan, ShardPlan, load_plan
from runtime import ChildSpec
from runtime.beats import Beat
from runtime.labelled import LabelledRegistry
from runtime.links import WebSocketNetwork
from supervisors.health import Status
from supervisors.sharding import ShardSpec, others_of, part_of

log = structlog.get_logger("loyalnest.shard")

PORT = "shard.port"


@click.command("shard", short_help="Run one shard of a plan until a signal.")
@click.argument("name")
@click.option("--plan", "plan_file", metavar="FILE", required=True, help="the plan it is part of")
@click.option("--demo", is_flag=True, help="add a demo merchant with a year of orders")
@click.option("--lifeline", type=int, hidden=True, help="descriptor of the socket to the parent")
@settings_options()
def shard(settings: Settings, name: str, plan_file: str, demo: bool, lifeline: int | None) -> None:
    """Run the shard NAME of a plan until SIGTERM or SIGINT; a second signal ends it at once.

    `serve --plan` starts all shards of a plan on one machine, and starts them again when they end.
    With this command shards run on several machines.
    """
    text = os.environ.get(PLAN_TEXT_ENV) if lifeline is not None else None
    plan = load_plan(Path(plan_file), text)
    if name not in plan.shards:
        detail = unknown("a shard of the plan", name, plan.shards)
        raise CommandFailed(f"{name} {detail}", EXIT_USAGE)
    check_storage(settings, plan)
    run_shard(settings, plan, plan.shards[name], demo=demo, lifeline=lifeline)


def run_shard(
    settings: Settings, plan: Plan, own: ShardPlan, *, demo: bool, lifeline: int | None
) -> None:
    """Until a signal, or until the parent at the other end of the `lifeline` is gone."""
    limit_memory(own.memory_mib)
    settings = settings_of(settings, own)
    linked = len(plan.shards) > 1
    secrets = link_secrets(settings) if linked else tuple
    network = link_network(settings) if linked else WebSocketNetwork()
    readable = readable_links(plan) if network.server_tls is None else ()
    parent = Lifeline(lifeline) if lifeline is not None else None

    async def body(run: Run) -> None:
        if parent is not None:
            parent.watch()
        if readable:
            log.warning("links_not_encrypted", shards=readable)
        facts: dict[str, str] = {}
        with watching(run.board, settings.probe_bind):
            async with trio.open_nursery() as nursery:
                if parent is not None:
                    nursery.start_soon(parent.beat_for_ever, lambda: _beat(run, facts))
                spec = ShardSpec(network=network, secrets=secrets, registry=run.metrics.registry)
                serving = Serving(
                    demo=demo,
                    opens=own is plan.edges[0],
                    http=own.http is not None,
                    beside=_beside(run, own),
                    facts=facts,
                    told=parent is None,
                    part=part_of(plan, own, spec),
                    others=others_of(plan, own),
                    link=own.link,
                )
                await serve_until_cancelled(run, serving)

    async def leave(run: Run, number: int) -> None:
        """Nobody sends requests to a shard that does not serve the API."""
        if own.http is not None:
            await take_leave(run, number)
        else:
            run.board.stopping = True
            log.info("stopping")

    stop = StopPlan(lambda _number: 0, leave, settings.shutdown_max_s)
    run_command(settings, body, plan=stop, quiet=False, shard=own.name)


def settings_of(settings: Settings, own: ShardPlan) -> Settings:
    """Those of the program, with what the plan says of this shard."""
    if own.http is None:
        return attrs.evolve(settings, probe_bind="")
    return attrs.evolve(settings, http_bind=own.http)


def _beside(run: Run, own: ShardPlan) -> tuple[ChildSpec, ...]:
    """The port for metrics and probes, where the plan has one."""
    bind, pages = own.metrics, _pages(run, own.name)
    if bind is None:
        return ()
    return (ChildSpec("port", lambda: PlainPort(bind, pages), name=PORT),)


def _beat(run: Run, facts: dict[str, str]) -> Beat:
    return Beat(run.board.readiness.value, run.board.ready, facts)


def _pages(run: Run, name: str) -> Pages:
    labelled = LabelledRegistry(run.metrics.registry, {"shard": name})

    def page(path: str) -> Page | None:
        board = run.board
        match path:
            case "/health/live":
                return word(board.liveness, ok=board.liveness is Status.OK)
            case "/health/ready":
                return word(board.readiness, ok=board.ready)
            case "/metrics":
                return Page(generate_latest(labelled), CONTENT_TYPE_LATEST)
        return None

    return page
