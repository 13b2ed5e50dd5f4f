"""`loyalnest serve --plan`: a parent that keeps a process running for each shard of a plan."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import click
import msgspec
import structlog
import trio
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from cli.errors import EXIT_USAGE, CommandFailed
from cli.link_keys import link_secrets
from cli.link_tls import link_network
from cli.plain_port import Page, Pages, PlainPort, word
from cli.running import Run, StopPlan, run_command
from cli.version import program_version
from config import Settings
from config.loading import CONFIG_ENV
from config.plans import Plan, ShardPlan, load_plan, plan_text
from config.settings import specs
from gateway.messages import Address, GetAddress
from runtime import ActorSystem, ChildSpec
from runtime.kept_process import MIB, ProcessSpec, ProcessState
from supervisors.health import Status
from supervisors.parent import ParentBoard, ShardCondition, end_in_order, parent

log = structlog.get_logger("loyalnest.parent")

PORT: Final = "parent.port"
PLAN_TEXT_ENV: Final = "_LOYALNEST_PLAN_TEXT"
"""Where a shard that a parent has started finds what was in the file of its plan. No setting."""

INNER_STOP_S: Final = 5.0
"""Of the time for a stop, what is for the shards that do not serve the API. The others have the
rest, as they wait for their clients."""

FORCE_MARGIN_S: Final = 1.0
SHOW_EVERY_S: Final = 0.1
LOOKS_MAX: Final = 600
GOOD: Final = frozenset({Status.OK, Status.DEGRADED})


class ShardHealth(msgspec.Struct, frozen=True):
    """What the parent tells of a shard. `starts` counts its processes; `last_end` is why the one
    before this ended, where nobody had asked it to."""

    state: ShardCondition
    status: str | None
    pid: int | None
    starts: int
    memory_mib: int
    last_end: str | None
    domains: tuple[str, ...]
    http: str | None


class ParentHealth(msgspec.Struct, frozen=True):
    """Everything about the shards of a plan."""

    status: Status
    shards: dict[str, ShardHealth]


@attrs.frozen
class Family:
    """The parent's own view of its plan: what it starts, and what it knows of it."""

    board: ParentBoard
    processes: Mapping[str, ProcessSpec]
    demo: bool = False


def serve_plan(settings: Settings, file: Path, *, demo: bool) -> None:
    """Run the shards of a plan until a signal; a second one ends all of them at once.

    Shards that are started again have the plan as it was read here: one that divided otherwise
    would end the work of all that still run.
    """
    text = plan_text(file)
    plan = load_plan(file, text)
    check_storage(settings, plan)
    if len(plan.shards) > 1:
        link_secrets(settings)
        link_network(settings)
    states = {name: ProcessState(name) for name in plan.shards}
    context = click.get_current_context()
    environment = child_environment(context.params, os.environ, settings) | {PLAN_TEXT_ENV: text}
    family = Family(
        ParentBoard(plan, states),
        {
            name: process_of(shard, file, environment, settings, demo=demo)
            for name, shard in plan.shards.items()
        },
        demo,
    )
    running: list[ActorSystem] = []

    async def body(run: Run) -> None:
        await _run_parent(run, family, running)

    async def leave(_run: Run, _number: int) -> None:
        family.board.stopping = True
        log.info("stopping")
        for system in running:
            await end_in_order(system, family.board, family.processes)

    stop = StopPlan(
        lambda _number: 0,
        leave,
        settings.shutdown_max_s + FORCE_MARGIN_S,
        by_force=family.board.kill_all,
    )
    run_command(settings, body, plan=stop, quiet=False)


def check_storage(settings: Settings, plan: Plan) -> None:
    """Raises `CommandFailed`: several processes do not share a SQLite file."""
    if len(plan.shards) > 1 and settings.database_url.startswith("sqlite"):
        raise CommandFailed(
            f"a plan with {len(plan.shards)} shards needs PostgreSQL, and database_url"
            f" (from {settings.sources['database_url']}) is SQLite",
            EXIT_USAGE,
        )


def child_environment(
    flags: Mapping[str, object], environ: Mapping[str, str], settings: Settings
) -> dict[str, str]:
    """The parent's own, with what its command line said in the place of what that overrides."""
    environment = dict(environ)
    for spec in specs():
        said = flags.get(spec.name)
        if isinstance(said, str):
            environment[spec.env] = said
    config_file = flags.get("config_file")
    if isinstance(config_file, str):
        environment[CONFIG_ENV] = config_file
    if settings.log_format == "auto":
        environment["LOYALNEST_LOG_FORMAT"] = "json"
    return environment


def process_of(
    shard: ShardPlan, file: Path, environment: Mapping[str, str], settings: Settings, *, demo: bool
) -> ProcessSpec:
    """How a shard's process is started, and when it is ended."""
    edge = shard.http is not None
    stop_s = max(1.0, settings.shutdown_max_s - INNER_STOP_S) if edge else INNER_STOP_S
    limit = shard.memory_mib
    flags = ("--demo",) if demo else ()
    arguments = ("shard", shard.name, "--plan", str(file), *flags, "--lifeline")
    return ProcessSpec(
        name=shard.name,
        command=(*_program(), *arguments),
        environment={**environment, "LOYALNEST_SHUTDOWN_MAX_S": f"{stop_s:g}"},
        silence_s=shard.silence_s,
        stop_s=stop_s,
        memory_max_bytes=limit * MIB if limit is not None else None,
    )


def _program() -> Sequence[str]:
    """How this program is started once more: the one file that it is, or Python with its script."""
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    return (sys.executable, str(Path(__file__).parents[1] / "main.py"))


async def _run_parent(run: Run, family: Family, running: list[ActorSystem]) -> None:
    run.metrics.registry.register(run.log)
    ProcessCollector(registry=run.metrics.registry)
    board, pages = family.board, _pages(run, family.board)
    port = ChildSpec("port", lambda: PlainPort(board.plan.health, pages), name=PORT)
    system = ActorSystem(run.ports, run.metrics)
    async with system.run(parent(board, family.processes, (port,))):
        run.log.release()
        running.append(system)
        address = await system.ref(PORT).ask(GetAddress())
        log.info("parent_port", address=str(address))
        await _show(board, address, demo=family.demo)
        await trio.sleep_forever()


async def _show(board: ParentBoard, address: Address, *, demo: bool) -> None:
    """Tell a person where to find it, when there is something to find."""
    for _ in range(LOOKS_MAX):
        found = not demo or _facts(board, "demo")
        if (board.readiness is Status.OK and found) or board.down:
            break
        await trio.sleep(SHOW_EVERY_S)
    lines = [f"LoyalNest {program_version()} runs as {len(board.plan.shards)} shards"]
    for name, shard in board.plan.shards.items():
        state = board.condition(name).value
        lines.append(f"shard {name:12} {state:10} {', '.join(shard.domains)}")
    lines += [f"shard {name:12} serves {url}" for name, url in _facts(board, "http")]
    lines += [f"demo merchant {merchant}" for _, merchant in _facts(board, "demo")]
    print("\n".join([*lines, f"health of all at {address.url}/health"]), flush=True)


def _facts(board: ParentBoard, fact: str) -> list[tuple[str, str]]:
    """What shards have said, by their names."""
    beats = {name: state.beat for name, state in board.states.items()}
    return [
        (name, beat.facts[fact])
        for name, beat in beats.items()
        if beat is not None and fact in beat.facts
    ]


def _pages(run: Run, board: ParentBoard) -> Pages:
    def page(path: str) -> Page | None:
        match path:
            case "/health":
                return Page(msgspec.json.encode(health_of(board)), ok=board.readiness in GOOD)
            case "/health/live":
                return word(Status.OK, ok=True)
            case "/health/ready":
                return word(board.readiness, ok=board.readiness in GOOD)
            case "/metrics":
                return Page(generate_latest(run.metrics.registry), CONTENT_TYPE_LATEST)
        return None

    return page


def health_of(board: ParentBoard) -> ParentHealth:
    """How all shards are."""
    return ParentHealth(
        board.readiness,
        {name: _shard_health(board, shard) for name, shard in board.plan.shards.items()},
    )


def _shard_health(board: ParentBoard, shard: ShardPlan) -> ShardHealth:
    state = board.states[shard.name]
    beat = state.beat
    return ShardHealth(
        board.condition(shard.name),
        beat.status if beat is not None else None,
        state.pid,
        state.starts,
        state.memory_bytes // MIB,
        state.last_end,
        shard.domains,
        beat.facts.get("http") if beat is not None else None,
    )
