"""How a command runs the tree: logging, signals, start, orderly stop, errors as one line."""

import gc
import os
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import attrs
import structlog
import trio

from actors.campaign.sending import Providers
from actors.event_tracking.supervisor import TrackingSpec
from actors.referrals.sending import Couriers
from cli.data_directory import prepare_data_dir
from cli.errors import EXIT_FAILED, CommandFailed
from cli.key_store import data_key_store, key_store
from cli.logs import STDERR, LogWriter, logging_to
from cli.providers import Mails, Texts, hook_caller, mails, texts
from cli.reasons import explain
from cli.secrets import rotating
from cli.signals import EXIT_BY_SIGNAL, StopSignals
from cli.watchdog import stack_of_thread
from config import Settings
from config.policies import DATABASE, REDIS
from config.settings import SourceKind
from runtime import ActorSystem, ChildSpec, host
from runtime.cache import CacheHandle, open_cache
from runtime.policies import Pipeline, Policies
from runtime.ports import Ports, system_ports
from runtime.storage import (
    AnyEntry,
    ConstraintViolation,
    DatabaseHandle,
    StorageError,
    StorageUnavailable,
)
from runtime.telemetry import Metrics
from runtime.tracing import Tracing
from supervisors.application import ApplicationSpec, Outside, application
from supervisors.health import HealthBoard
from supervisors.part import Part
from supervisors.platform import DatabaseSpec
from supervisors.policies import declared

log = structlog.get_logger("loyalnest.run")

GARBAGE_THRESHOLDS = (50_000, 20, 20)
"""The usual 700 objects cost a third of the time of an import; see `collect_rarely`."""

HOLD_LOG_S = 3.0
"""A start that fails sooner shows its reason only, and no log."""


class WatchedHandle(DatabaseHandle):
    """Remembers why the last write failed: what fails then is far from the database."""

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        super().__init__(pipeline)
        self.failure: StorageError | None = None

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        try:
            await super().append(entries, synchronous=synchronous)
        except (ConstraintViolation, StorageUnavailable):
            raise
        except StorageError as error:
            self.failure = error
            raise
        self.failure = None


@attrs.frozen
class Run:
    """What a command has at hand while it runs."""

    settings: Settings
    log: LogWriter
    quiet: bool = False
    metrics: Metrics = attrs.field(factory=Metrics)
    board: HealthBoard = attrs.field(factory=HealthBoard)
    ports: Ports = attrs.field(factory=system_ports)
    policies: Policies = attrs.field(init=False)

    @policies.default
    def _declared(self) -> Policies:
        return declared(
            self.settings.policies,
            self.ports.random,
            self.metrics.policies,
            chaos_allowed=self.settings.chaos_allowed,
        )

    @asynccontextmanager
    async def tree(
        self,
        edge: Callable[[DatabaseHandle, CacheHandle], tuple[ChildSpec, ...]] | None = None,
        tracing: Tracing | None = None,
        mail_url: str | None = None,
        part: Part | None = None,
    ) -> AsyncIterator[tuple[ActorSystem, DatabaseHandle]]:
        """The running application, stopped in order at the end.

        With an edge it takes the database over from whoever has it. `mail_url` is the mail server
        where the settings name none. Without a `part` it has all domains.

        Raises `CommandFailed` when it ends because the database cannot be written.
        """
        prepare_data_dir(self.settings)
        handle, cache = WatchedHandle(self.policies[DATABASE]), CacheHandle()
        database, redis, watched = rotating(self.settings)
        texting = texts(self.settings, self.policies)
        mailing = mails(self.settings, self.policies, mail_url)
        spec = ApplicationSpec(
            DatabaseSpec(
                database,
                self.settings.database_connections_max,
                takes_over=edge is not None,
            ),
            self.settings.data_dir,
            edge(handle, cache) if edge is not None else (),
            redis,
            outside=self._outside(texting, mailing),
            keys=key_store(self.settings),
            data_keys=data_key_store(self.settings),
            secrets=(*watched, *texting.watched, *mailing.watched),
            tracking=TrackingSpec(
                kept=timedelta(days=self.settings.event_retention_days),
                spill_bytes_max=self.settings.event_spill_max_bytes,
            ),
        )
        system = ActorSystem(self.ports, self.metrics, tracing)
        try:
            async with system.run(application(spec, handle, cache, part)):
                if not self.quiet:
                    self.log.release()
                collect_rarely()
                yield system, handle
        except Exception as error:
            if handle.failure is None:
                raise
            raise CommandFailed(str(handle.failure)) from error
        finally:
            await texting.close()

    def _outside(self, texting: Texts, mailing: Mails) -> Outside:
        """Who is reached beside the database."""
        url = self.settings.public_url or f"http://{self.settings.http_bind}"
        return Outside(
            open_cache=partial(open_cache, pipeline=self.policies[REDIS]),
            couriers=Couriers(
                texter=texting.texter,
                mailer=mailing.mailer,
                public_url=self.settings.public_url,
            ),
            signed=texting.signed,
            providers=Providers(
                mailer=mailing.mailer,
                texter=texting.texter,
                hooks=hook_caller(self.settings, self.policies, self.ports),
                public_url=url.rstrip("/"),
                callback_url=self.settings.public_url,
            ),
        )


def collect_rarely() -> None:
    """Keep the cyclic garbage collector from walking the tree and the modules again and again.

    What messages leave behind is mostly freed by reference counts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


async def _at_once(_run: Run, _number: int) -> None:
    """How most commands take their leave."""


@attrs.frozen
class StopPlan:
    """What a signal leads to: `leave` is awaited with its number, then the body is cancelled and
    stops its tree in order. `exit_code` gives the code for that. A process that is still there
    after `limit_s` ends by force. `by_force` ends what else is to end then, and after a second
    signal."""

    exit_code: Callable[[int], int] = lambda number: EXIT_BY_SIGNAL + number
    leave: Callable[[Run, int], Awaitable[None]] = _at_once
    limit_s: float | None = None
    by_force: Callable[[], object] = lambda: None


def run_command(
    settings: Settings,
    body: Callable[[Run], Awaitable[None]],
    *,
    plan: StopPlan | None = None,
    quiet: bool = True,
    shard: str | None = None,
) -> None:
    """Run `body` until it ends or a signal comes; leaves by `SystemExit`.

    A quiet command shows its log only to those who ask for a log level. Each line of the log
    has the `shard`, if this is one.
    """
    plan = plan if plan is not None else StopPlan()
    quiet = quiet and settings.sources["log_level"].kind is SourceKind.DEFAULT
    writer = LogWriter(hold_s=None if quiet else HOLD_LOG_S)
    tell = partial(_tell_of_force, writer, threading.get_ident())
    signals = StopSignals(plan.limit_s, tell, plan.by_force)
    with (
        logging_to(writer, level=settings.log_level, console=_console(settings), shard=shard),
        signals.installed(),
    ):
        try:
            run = runner_for(settings)
            run(_until_signal, signals, body, Run(settings, writer, quiet), plan)
        except BaseException as error:
            code = report(error, debug=settings.log_level == "debug", log=writer)
            raise SystemExit(code) from None
        finally:
            if quiet:
                writer.discard_held()
    if signals.received is not None:
        raise SystemExit(plan.exit_code(signals.received))


def runner_for(settings: Settings) -> Callable[..., object]:
    """What runs Trio: itself, or where a driver needs asyncio, a loop of that. As a guest of
    another loop it takes a tenth more of the processor for a request."""
    alone = settings.redis_url is None and settings.database_url.startswith("sqlite:")
    return trio.run if alone else host.run


async def _until_signal(
    signals: StopSignals, body: Callable[[Run], Awaitable[None]], run: Run, plan: StopPlan
) -> None:
    async with trio.open_nursery() as nursery:

        async def stop_on_signal() -> None:
            await plan.leave(run, await signals.wait())
            nursery.cancel_scope.cancel()

        nursery.start_soon(stop_on_signal)
        await body(run)
        nursery.cancel_scope.cancel()


def _tell_of_force(writer: LogWriter, thread: int) -> None:
    """What the program was doing when its time to stop was up."""
    log.error("stop_forced", stack=stack_of_thread(thread))
    writer.close()


def report(error: BaseException, *, debug: bool = False, log: LogWriter | None = None) -> int:
    """Tell the user in one line why the command failed; the exit code."""
    exits = [e for e in _flat(error) if isinstance(e, SystemExit)]
    if exits:
        return exits[0].code if isinstance(exits[0].code, int) else EXIT_FAILED
    reason = explain(error)
    if log is not None and reason is not None and not debug:
        log.discard_held()
    if log is not None:
        log.close()
    if debug or reason is None:
        traceback.print_exception(error)
    if reason is None:
        print(f"loyalnest: internal error: {error!r}"[:500], file=sys.stderr)
        return EXIT_FAILED
    for line in str(reason).splitlines():
        print(f"loyalnest: {line}", file=sys.stderr)
    return reason.exit_code


def _flat(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _flat(inner)]
    return [error]


def _console(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return os.isatty(STDERR)
    return settings.log_format == "console"
