"""The command: a server of its own in a directory of its own, and the story on it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import click
import trio
from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from actors.auth.messages import Role
from cli import demo as demo_shop
from cli.edge import gateway_settings
from cli.errors import CommandFailed
from cli.http_client import HttpClient
from cli.key_store import key_store
from cli.mail_sink import mail_sink
from cli.options import settings_options
from cli.running import Run, run_command
from cli.story.chapters import ACTS, ADA, Act
from cli.story.stage import Stage
from cli.tokens import new_token
from config import Settings
from gateway.application import gateway_children
from gateway.messages import LISTENER, GetAddress
from runtime import ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import DatabaseHandle

ABSENT = "not in this build"
NOT_FOUND = 404
PLAYED = (
    "demo: the story was played in this directory before; take another one, or look at the shop"
    " with `loyalnest serve --data-dir DIRECTORY`"
)


@click.command("demo", short_help="Play one order and all that follows from it.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="directory for the shop and its mail, which stay  [default: one that is removed]",
)
@settings_options("log_level", "log_format", key_needed=False)
def demo(settings: Settings, keep: Path | None) -> None:
    """Open a flower shop with a year of orders, and play one more order with all that follows:
    points, a badge, a referral, segments, and a broadcast whose mail lands in a folder."""
    with _directory(keep) as directory:
        run_command(_on_its_own(settings, directory), _play)


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.absolute()
        return
    with TemporaryDirectory(prefix="loyalnest-demo-") as directory:
        yield Path(directory)


def _on_its_own(settings: Settings, directory: Path) -> Settings:
    """Nothing of it touches what the settings name."""
    return attrs.evolve(
        settings,
        data_dir=directory,
        database_url=f"sqlite:///{directory}/loyalnest.db",
        redis_url=None,
        http_bind=f"127.0.0.1:{_free_port()}",
        public_url=None,
        smtp_url=None,
        probe_bind="",
    )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def _play(run: Run) -> None:
    listener, gateway = gateway_settings(run.settings)

    def edge(handle: DatabaseHandle, cache: CacheHandle) -> tuple[ChildSpec, ...]:
        return gateway_children(listener, gateway, handle, cache, run.board, run.policies)

    console = Console(highlight=False)
    console.print(f"[bold]{demo_shop.NAME}[/bold] opens; its year takes a moment …")
    async with (
        mail_sink(run.settings.data_dir / "outbox") as sink,
        run.tree(edge, None, sink.url) as (system, _),
    ):
        address = await system.ref(LISTENER).ask(GetAddress())
        shop = await demo_shop.seed_demo(system)
        client = HttpClient(address.url)
        token = new_token(key_store(run.settings), Role.OWNER, demo_shop.MERCHANT_ID)
        document = (await client.get("/v1/openapi.json", token)).body
        stage = Stage(client, token, sink.folder, frozenset(document["paths"]))
        if (await client.get(f"/v1/customers/{ADA}", token)).status != NOT_FOUND:
            raise CommandFailed(PLAYED)
        console.print(f"{len(shop.customers)} customers, {len(shop.orders)} orders\n")
        for number, act in enumerate(ACTS, 1):
            await _perform(console, number, act, stage)
    console.print("\nThat is all. `loyalnest serve --demo` keeps the shop open for you.")


async def _perform(console: Console, number: int, act: Act, stage: Stage) -> None:
    """Show that something goes on, and then what came of it."""
    title = f"{number}/{len(ACTS)}  {act.title}"
    if not stage.has(*act.routes):
        console.print(f"[dim]-  {title}: {ABSENT}[/dim]")
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    began = trio.current_time()
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(title, total=None)
        lines = await act.play(stage)
    took_s = trio.current_time() - began
    console.print(f"[green]✓[/green]  [bold]{title}[/bold]  [dim]{took_s:.1f} s[/dim]")
    for line in lines:
        console.print(Padding(Text(line), (0, 0, 0, 5), expand=False))
