"""`loyalnest import orders`: what the command does, from the file to the summary."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import attrs
import click
import trio

from actors.core.importing.money import major_units
from actors.core.model import check_currency, check_id
from cli.data_directory import prepare_data_dir
from cli.errors import EXIT_FAILED, EXIT_USAGE, CommandFailed
from cli.http_client import HttpClient
from cli.importing.checkpoint import DIRECTORY, CheckpointFile, sha256_of
from cli.importing.pipeline import Pipeline, StaleCheckpoint
from cli.importing.progress import View, progress_view
from cli.importing.reader import OrderFile
from cli.importing.remote import RemoteSink
from cli.importing.report import ErrorReport, report_path
from cli.importing.sinks import LocalSink, Sink
from cli.importing.tally import Tally
from cli.key_store import key_store
from cli.options import STORAGE, settings_options
from cli.reaching import with_tree_or_server
from cli.running import Run, run_command
from config import Settings
from runtime import ActorSystem


@attrs.frozen
class Job:
    """One import, as the command line asks for it."""

    path: Path
    merchant_id: str
    currency: str
    dry_run: bool
    now: datetime = attrs.field(factory=lambda: datetime.now(UTC))


@click.group("import", short_help="Bring data in from files.")
def import_() -> None:
    """Bring data in from files."""


@import_.command("orders", short_help="Import orders from a CSV file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--merchant", required=True, metavar="ID", help="registered when unknown")
@click.option("--currency", default="USD", show_default=True, help="of rows that don't name theirs")
@click.option("--dry-run", is_flag=True, help="check the file only")
@settings_options(*STORAGE)
def orders(settings: Settings, file: Path, merchant: str, currency: str, dry_run: bool) -> None:
    """Import orders from a CSV file with a header line.

    Columns: customer_id, ordered_at, total; optional order_id, items, currency. An import that
    was interrupted goes on where it was when the same command is run again.
    """
    refusal = check_id("--merchant", merchant) or check_currency(currency)
    if refusal is not None:
        raise CommandFailed(refusal.detail, EXIT_USAGE)
    job = Job(file, merchant, currency, dry_run)

    async def body(run: Run) -> None:
        await import_orders(run, job)

    run_command(settings, body)


async def import_orders(run: Run, job: Job) -> None:
    """Leaves by `SystemExit` when rows were refused."""
    source = await trio.to_thread.run_sync(OrderFile, job.path)
    if source.layout.ignored:
        _notice(f"columns not used: {', '.join(source.layout.ignored)}")
    prepare_data_dir(run.settings)
    report = ErrorReport(report_path(job.path, run.settings.data_dir / DIRECTORY))
    started_at = trio.current_time()
    if job.dry_run:
        tally, customers = _check_only(job, source, report)
    else:
        with progress_view() as view:

            async def local(system: ActorSystem) -> tuple[Tally, int]:
                sink = LocalSink(system, job.merchant_id)
                return await _import_into(sink, run, job, source, report, view)

            async def remote(address: str) -> tuple[Tally, int]:
                _notice(f"the database is in use; sending to the server at {address}")
                client = HttpClient(address)
                sink = RemoteSink(client, key_store(run.settings), job.merchant_id)
                return await _import_into(sink, run, job, source, report, view)

            try:
                tally, customers = await with_tree_or_server(run, local, remote)
            except trio.Cancelled:
                _notice("interrupted; run the same command to go on")
                raise
    _print_summary(job, tally, customers, trio.current_time() - started_at)
    if tally.errors:
        _notice(f"{tally.errors:,} rows were not imported; see {report.path}")
        raise SystemExit(EXIT_FAILED)


async def _import_into(
    sink: Sink, run: Run, job: Job, source: OrderFile, report: ErrorReport, view: View
) -> tuple[Tally, int]:
    notice = await sink.prepare(job.currency)
    if notice is not None:
        _notice(notice)
    digest = await trio.to_thread.run_sync(sha256_of, job.path)
    checkpoints = CheckpointFile(run.settings.data_dir, digest, job.merchant_id, job.currency)
    resume = checkpoints.load()
    if resume is not None and not report.start_at(resume.report_bytes):
        resume = None
    if resume is None:
        report.start_at(0)
    else:
        _notice(f"going on behind row {resume.tally.rows:,}, where an earlier import ended")
    rule = await sink.earn_rule(job.currency)

    flow = Pipeline(sink, report, checkpoints, view, source.size_bytes, rule)
    try:
        await flow.run(source.batches(job.currency, job.now), resume)
    except* StaleCheckpoint:
        _notice("the store does not have what was imported before; starting anew")
        flow.start_over()
        await flow.run(source.batches(job.currency, job.now), None)
    if await sink.backlog() is None:
        _notice("all sent; the server credits the points on its own")
    await flow.wait_for_points()
    checkpoints.delete()
    return flow.tally, len(flow.customers)


def _check_only(job: Job, source: OrderFile, report: ErrorReport) -> tuple[Tally, int]:
    tally = Tally()
    customers: set[str] = set()
    report.start_at(0)
    for batch in source.batches(job.currency, job.now):
        tally.rows += len(batch.orders)
        tally.add_errors(len(batch.errors))
        report.add(batch.errors)
        for order in batch.orders:
            customers.add(order.customer_id)
            total = tally.total_minor.get(order.currency, 0)
            tally.total_minor[order.currency] = total + order.total_minor
    return tally, len(customers)


def _print_summary(job: Job, tally: Tally, customers: int, elapsed_s: float) -> None:
    lines = [("rows", f"{tally.rows:,}")]
    if job.dry_run:
        lines.append(("importable", f"{tally.rows - tally.errors:,} (dry run, nothing recorded)"))
    else:
        lines.append(("recorded", f"{tally.recorded:,}"))
        lines.append(("duplicates", f"{tally.duplicates:,}"))
    lines.append(("errors", f"{tally.errors:,}"))
    lines.append(("customers", f"{customers:,}"))
    for currency, total_minor in sorted(tally.total_minor.items()):
        lines.append(("total", f"{major_units(total_minor, currency)} {currency}"))
    if tally.points:
        lines.append(("points", f"{tally.points:,}"))
    rate = tally.rows / elapsed_s if elapsed_s > 0 else 0.0
    lines.append(("time", f"{elapsed_s:.1f} s, {rate:,.0f} rows/s"))
    for name, value in lines:
        print(f"{name:<11} {value}")


def _notice(text: str) -> None:
    print(f"loyalnest: {text}", file=sys.stderr)
