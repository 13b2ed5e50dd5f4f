"""What the conformance tests share beside the helpers of the runtime's tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from runtime import (
    ActorRef,
    ActorSystem,
    ChildSpec,
    ChildType,
    ExitKind,
    ExitReason,
    ReportKind,
    Restart,
    StartChild,
    Strategy,
    Supervisor,
    WhichChildren,
)
from tests.unit.runtime.helpers import Probe, began, crash, end_normally, end_with_shutdown, kill
from tests.unit.runtime.helpers import running as running_root

LONG = {"intensity": 100, "period_s": 1000.0}

Way = Callable[[Probe], Any]


async def end_with_shutdown_term(actor: Probe) -> None:
    actor.stop(ExitReason(ExitKind.SHUTDOWN, "term"))


EXPECTED: tuple[Way, ...] = (end_normally, end_with_shutdown, end_with_shutdown_term)
UNEXPECTED: tuple[Way, ...] = (crash, kill)


def reported(system: ActorSystem) -> list[tuple[str, str, str]]:
    """Kind, child and reason of every report so far."""
    return [
        (report.kind.value, report.offender.id, report.reason) for report in system.reports.latest
    ]


def kinds(system: ActorSystem) -> list[ReportKind]:
    return [report.kind for report in system.reports.latest]


@asynccontextmanager
async def nested(children: Any = (), **options: Any) -> AsyncIterator[ActorSystem]:
    """A supervisor `sup` below a root that does not restart it."""
    sup = ChildSpec(
        "sup",
        lambda: Supervisor(children, **options),
        Restart.TRANSIENT,
        type=ChildType.SUPERVISOR,
        name="sup",
    )
    async with running_root([sup]) as system:
        yield system


async def fate(system: ActorSystem) -> str | None:
    """How the supervisor `sup` ended, or None while it runs."""
    (sup,) = await system.ref("root").ask(WhichChildren())
    return sup.last_exit


def pool(template: ChildSpec, **options: Any) -> dict[str, Any]:
    """Options of a supervisor with a template."""
    return {"strategy": Strategy.SIMPLE_ONE_FOR_ONE, "template": template, **options}


async def start(supervisor: ActorRef, *arguments: Any) -> ActorRef:
    """Start one more child of a template."""
    return began(await supervisor.ask(StartChild(arguments=arguments)))
