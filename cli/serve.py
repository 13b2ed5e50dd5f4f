"""`loyalnest serve`: the whole application with HTTP at its edge, until a signal."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import click
import structlog
import trio
from prometheus_client import ProcessCollector

from actors.auth.messages import Role
from cli import demo as demo_shop
from cli.edge import gateway_settings
from cli.key_store import key_store
from cli.mail_sink import MailSink, mail_sink
from cli.options import settings_options
from cli.running import Run, StopPlan, run_command
from cli.server_file import serving_at
from cli.tokens import new_token
from cli.version import program_version
from cli.watchdog import watching
from config import Settings
from config.plans import load_plan
from gateway.application import gateway_children, watching_children
from gateway.messages import LISTENER, Address, GetAddress
from runtime import ActorError, ActorSystem, ChildSpec
from runtime.cache import CacheHandle
from runtime.journal import JOURNAL, Append
from runtime.registries import in_registry
from runtime.storage import DatabaseHandle, StorageError
from runtime.telemetry import Metrics
from runtime.tracing import Tracing
from runtime.trouble import Trouble
from supervisors.health import HealthBoard, OtherShard, Status
from supervisors.part import Part
from supervisors.platform import DATABASE, Announce

ANNOUNCE_EVERY_S = 5.0
"""A database that was opened again does not know where we serve, and others forget it."""

ANNOUNCE_TIMEOUT_S = 2.0

SHOP_LOOKS_MAX = 300
SHOP_LOOK_EVERY_S = 0.1
"""Shards of a program that starts are there one after the other."""

OUTBOX = "outbox"
"""Folder of the data directory with the mails of a demo."""

log = structlog.get_logger("loyalnest.serve")


@click.command("serve", short_help="Run the application until a signal.")
@click.option("--demo", is_flag=True, help="add a demo merchant with a year of orders")
@click.option("--plan", "plan_file", metavar="FILE", help="run as the shards of this plan")
@settings_options()
def serve(settings: Settings, demo: bool, plan_file: str | None) -> None:
    """Run the application until SIGTERM or SIGINT; a second signal ends it at once.

    It is one process, or, with a plan, one for each shard of it, which are started again when they
    end.
    """
    if plan_file is not None:
        from cli.parent import serve_plan  # noqa: PLC0415 - few need it

        serve_plan(settings, load_plan(Path(plan_file)), Path(plan_file), demo=demo)
        return

    async def body(run: Run) -> None:
        with watching(run.board, settings.probe_bind):
            await serve_until_cancelled(run, Serving(demo=demo))

    plan = StopPlan(lambda _number: 0, take_leave, settings.shutdown_max_s)
    run_command(settings, body, plan=plan, quiet=False)


async def take_leave(run: Run, number: int) -> None:
    """From now on the process is not ready. Those who send it requests get time to see that;
    a person who stops it at a keyboard need not wait."""
    sent_requests = run.board.ready and number == signal.SIGTERM
    run.board.stopping = True
    delay_s = run.settings.shutdown_delay_s if sent_requests else 0.0
    log.info("stopping", signal=signal.Signals(number).name, still_accepting_s=delay_s)
    await trio.sleep(delay_s)


@attrs.frozen(kw_only=True)
class Serving:
    """How the program serves: with a demo, which it `opens` by itself or not, with `http` at its
    edge, and what is `beside` it there.

    `part` is what it has of the application (None: all), `others` are the shards that have the
    rest; they reach one that has no `http` at `link`. `facts` gets what others want to know of it,
    once that is known. Unless a person is `told`, nothing is printed.
    """

    demo: bool = False
    opens: bool = True
    http: bool = True
    beside: tuple[ChildSpec, ...] = ()
    facts: dict[str, str] = attrs.field(factory=dict)
    told: bool = True
    part: Part | None = None
    others: tuple[OtherShard, ...] = ()
    link: str | None = None


async def serve_until_cancelled(run: Run, serving: Serving) -> None:
    listener, gateway = gateway_settings(run.settings)
    run.metrics.registry.register(run.log)
    ProcessCollector(registry=run.metrics.registry)

    def edge(handle: DatabaseHandle, cache: CacheHandle) -> tuple[ChildSpec, ...]:
        if not serving.http:
            return (*serving.beside, *watching_children(handle, cache, run.board))
        children = gateway_children(
            listener, gateway, handle, cache, run.board, run.policies, serving.others
        )
        return (*serving.beside, *children)

    settings = run.settings
    async with (
        serving_otlp(settings.otlp_endpoint, settings.trace_sampling, run.metrics) as tracing,
        outbox(settings, demo=serving.demo) as sink,
        run.tree(edge, tracing, _url(sink), serving.part) as (system, _),
    ):
        trouble = Trouble(log, "announce_failed", "announced_again")
        if not serving.http:
            await _keep_announcing(system, f"link {serving.link}", trouble)
        address = await system.ref(LISTENER).ask(GetAddress())
        serving.facts["http"] = address.url
        shop = await _open_shop(system, run.board) if serving.demo and serving.opens else None
        if shop is not None:
            serving.facts["demo"] = demo_shop.MERCHANT_ID
        await _announce(system, address.url, trouble)
        with serving_at(settings.data_dir, address.url):
            if serving.told:
                _print_banner(settings, address, shop, sink)
            await _keep_announcing(system, address.url, trouble)


async def _open_shop(system: ActorSystem, board: HealthBoard) -> demo_shop.Shop:
    """The demo's, once there are all domains that it needs."""
    for _ in range(SHOP_LOOKS_MAX):
        if board.readiness is Status.OK:
            break
        await trio.sleep(SHOP_LOOK_EVERY_S)
    return await demo_shop.seed_demo(system)


def _url(sink: MailSink | None) -> str | None:
    return sink.url if sink is not None else None


@asynccontextmanager
async def outbox(settings: Settings, *, demo: bool) -> AsyncIterator[MailSink | None]:
    """Where the demo's mail goes: to files, unless there is a mail server to send it by."""
    if not demo or settings.smtp_url is not None:
        yield None
        return
    async with mail_sink(settings.data_dir / OUTBOX) as sink:
        yield sink


@asynccontextmanager
async def serving_otlp(
    endpoint: str | None, sampling: float, metrics: Metrics
) -> AsyncIterator[Tracing | None]:
    """Where spans are recorded, None without an endpoint. The SDK is loaded only if it is used."""
    if not endpoint:
        yield None
        return
    from cli.otlp import TraceMetrics, otlp_tracing  # noqa: PLC0415

    spans = in_registry(metrics.registry, TraceMetrics).spans
    async with otlp_tracing(endpoint, sampling, spans, program_version()) as tracing:
        yield tracing


async def _keep_announcing(system: ActorSystem, address: str, trouble: Trouble) -> None:
    """Until cancelled; then take it back."""
    try:
        while True:
            await trio.sleep(ANNOUNCE_EVERY_S)
            await _announce(system, address, trouble)
    finally:
        with trio.CancelScope(shield=True):
            await _announce(system, None, trouble)


async def _announce(system: ActorSystem, address: str | None, trouble: Trouble) -> None:
    """Once the journal has its partition: on a shared database only its owner is listened to."""
    try:
        await system.ref(JOURNAL).ask(Append(()), timeout_s=ANNOUNCE_TIMEOUT_S)
        await system.ref(DATABASE).ask(Announce(address), timeout_s=ANNOUNCE_TIMEOUT_S)
    except (ActorError, StorageError) as error:
        trouble.failed(error)
    else:
        trouble.ended()


def _print_banner(
    settings: Settings, address: Address, shop: demo_shop.Shop | None, sink: MailSink | None
) -> None:
    lines = [
        f"LoyalNest {program_version()} serves {address.url}",
        f"documentation  {address.url}/docs",
    ]
    if shop is not None:
        lines += _demo_lines(settings, address, shop)
    if sink is not None:
        lines.append(f"mail goes to   {sink.folder}/")
    print("\n".join(lines), flush=True)


def _demo_lines(settings: Settings, address: Address, shop: demo_shop.Shop) -> list[str]:
    token = new_token(key_store(settings), Role.OWNER, demo_shop.MERCHANT_ID)
    bearer = f"-H 'Authorization: Bearer {token}'"
    balance = f"{address.url}/v1/customers/{shop.star}/balance"
    headers = "-H 'Idempotency-Key: try-1' -H 'Content-Type: application/json'"
    body = json.dumps({"customer_id": shop.star, "amount": 25, "reason": "thank you"})
    return [
        f"demo merchant  {demo_shop.MERCHANT_ID} ({demo_shop.NAME})",
        f"owner token    {token}",
        f"a balance:     curl -s {balance} {bearer}",
        f"an earn:       curl -s {address.url}/v1/points/earn {bearer} {headers} -d '{body}'",
    ]
