"""The way from the gateway to the domains: every ask goes through the pipeline of its domain."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from math import inf
from typing import Final, TypeAlias, TypeVar

import attrs

from actors.admin_core import messages as admin_core
from actors.auth.messages import KEYS
from actors.core import messages as core
from actors.points import messages as points
from actors.products import messages as products
from runtime import ActorDown, ActorError, ActorSystem, AskTimeout, Call, Expired
from runtime.context import time_left_s
from runtime.jobs import JOBS
from runtime.outbox import RELAY
from runtime.parking import monotonic
from runtime.policies import (
    FAILED,
    FAILED_FOR_GOOD,
    IGNORED,
    Again,
    BreakerSpec,
    BulkheadSpec,
    Effect,
    Judge,
    Judgement,
    Pipeline,
    PipelineSpec,
    Policies,
    RetrySpec,
)
from runtime.storage import StorageError

Reply = TypeVar("Reply")
Ask: TypeAlias = Callable[[float | None], Awaitable[Reply]]
"""Asks once, given how long that may take in seconds; None where nothing limits it."""

PIPELINE: Final = "domain."
BULK: Final = ".bulk"

DOMAIN_OF: Final[Mapping[str, str]] = {
    KEYS: "auth",
    admin_core.QUERIES: "admin_core",
    core.MERCHANTS: "core",
    core.CUSTOMERS: "core",
    core.ORDERS: "core",
    core.QUERIES: "core",
    points.ACCOUNTS: "points",
    points.INTAKE: "points",
    points.QUERIES: "points",
    points.DEFERRALS: "points.deferrals",
    products.CATALOGUE: "products",
    products.QUERIES: "products",
    JOBS: "platform",
    RELAY: "platform",
}
"""By actor, the pipeline that asks to it go through. Earnings are put off when the rest of their
domain does not answer, so that this has one of its own."""

MESSAGES_OF: Final = {"platform": ("runtime.jobs.", "runtime.outbox")}
"""Where the messages of a domain are defined, if not in its package below `actors`."""

WITH_BULK: Final = frozenset({"admin_core", "core", "points", "products"})
"""Domains with requests that take long by nature: they have permits of their own, and say nothing
about how fast the others should be."""

LAST_MOMENT_S: Final = 0.02
"""An ask ends so long before the request's deadline: its own error tells more than being cut off
does, and leaves time to answer with it."""

SLOW_S: Final = 1.0
RUNNING: Final = 512
"""Far above what a process works on at its peak: many requests at once is what group commits live
of. It bounds what a domain that hangs can pile up, half of it for one merchant."""

BULK_RUNNING: Final = 64

BREAKER: Final = BreakerSpec(slow_s=SLOW_S, open_max_s=8.0)
"""So that a domain that is back is asked again within 10 s, however long it was away."""

RETRY: Final = RetrySpec(attempts_max=2, base_s=0.1)
"""Once more, which is enough for an actor that was restarted meanwhile."""


def judge_of(domain: str) -> Judge:
    """What an error says about a domain.

    That an actor of it is down, or did not answer in time, is its failure. What it says about the
    store or about another domain it stands on, or because its mailbox is full, is not. Whose
    actor was asked is known by the message, which the error gives back.
    """
    own = MESSAGES_OF.get(domain, (f"actors.{domain.partition('.')[0]}.",))

    def judge(error: Exception) -> Judgement:
        if isinstance(error, StorageError):
            return IGNORED
        if not isinstance(error, ActorError):
            return FAILED_FOR_GOOD
        ours = type(error.message).__module__.startswith(own)
        if isinstance(error, ActorDown):
            return FAILED if ours else ANOTHER_DOWN
        return FAILED_FOR_GOOD if ours and isinstance(error, AskTimeout | Expired) else IGNORED

    return judge


ANOTHER_DOWN: Final = Judgement(Effect.IGNORED, Again.IF_REPEATABLE, "another domain is down")


def domain_specs() -> dict[str, PipelineSpec]:
    """The pipelines of all domains by name.

    The deadline is the request's, which is always in force, and asks keep it by themselves.
    """
    specs: dict[str, PipelineSpec] = {}
    for domain in dict.fromkeys(DOMAIN_OF.values()):
        specs[PIPELINE + domain] = _spec(domain, RUNNING, BREAKER)
        if domain in WITH_BULK:
            patient = attrs.evolve(BREAKER, slow_s=inf)
            specs[PIPELINE + domain + BULK] = _spec(domain, BULK_RUNNING, patient)
    return specs


def _spec(domain: str, running: int, breaker: BreakerSpec) -> PipelineSpec:
    return PipelineSpec(
        deadline_s=None,
        attempt_s=None,
        retry=RETRY,
        breaker=breaker,
        bulkhead=BulkheadSpec(
            running=running, waiting=running // 4, wait_s=0.05, strict_shares=True
        ),
        judge=judge_of(domain),
    )


def declare_domains(policies: Policies) -> None:
    """Declare what is not yet: a listener that restarts finds its breakers as they were."""
    for name, spec in domain_specs().items():
        if name not in policies:
            policies.declare(name, spec)


@attrs.define(eq=False)
class Domains:
    """Asks actors by their names. What is `repeatable` is asked once more where that may help;
    `share` is the merchant whose share of the permits is used.

    Raises what asks raise, and a kind of `PolicyError` where the domain's pipeline steps in.
    Cancelled, the ask is.
    """

    _system: ActorSystem
    _policies: Policies

    async def ask(
        self,
        name: str,
        message: Call[Reply],
        *,
        timeout_s: float | None = None,
        bulk: bool = False,
        repeatable: bool = False,
        share: str | None = None,
    ) -> Reply:
        """Ask the actor called `name`."""
        ref = self._system.ref(name)

        def ask(limit_s: float | None) -> Awaitable[Reply]:
            return ref.ask(message, timeout_s=limit_s)

        pipeline = self._pipeline(name, bulk)
        return await _through(pipeline, ask, timeout_s, repeatable, share)

    async def ask_entity(
        self,
        region: str,
        key: Hashable,
        message: Call[Reply],
        *,
        timeout_s: float | None = None,
        repeatable: bool = False,
        share: str | None = None,
    ) -> Reply:
        """Ask the entity with `key`."""
        ref = self._system.entities(region).ref(key)

        def ask(limit_s: float | None) -> Awaitable[Reply]:
            return ref.ask(message, timeout_s=limit_s)

        pipeline = self._pipeline(region, bulk=False)
        return await _through(pipeline, ask, timeout_s, repeatable, share)

    def _pipeline(self, name: str, bulk: bool) -> Pipeline:
        """Raises `KeyError` for an actor that no domain is named for."""
        return self._policies[PIPELINE + DOMAIN_OF[name] + (BULK if bulk else "")]


async def _through(
    pipeline: Pipeline,
    ask: Ask[Reply],
    timeout_s: float | None,
    repeatable: bool,
    share: str | None,
) -> Reply:
    """`timeout_s` is for all attempts together."""
    until = monotonic() + timeout_s if timeout_s is not None else inf

    async def attempt() -> Reply:
        left_s = min(until - monotonic(), time_left_s() - LAST_MOMENT_S)
        return await ask(max(0.0, left_s) if left_s != inf else None)

    return await pipeline.call(attempt, repeatable=repeatable, share=share)
