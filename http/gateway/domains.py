"""The way from the gateway to the domains: every ask goes through the pipeline of its domain."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from math import inf
from typing import Final, TypeAlias, TypeVar

import attrs

from actors.admin_core import messages as admin_core
from actors.admin_features import messages as admin_features
from actors.auth import messages as auth
from actors.campaign import messages as campaign
from actors.campaign.delivery_messages import BROADCASTS
from actors.core import messages as core
from actors.event_tracking import messages as event_tracking
from actors.gamification import messages as gamification
from actors.points import messages as points
from actors.points.program_messages import PROGRAM
from actors.points.tier_messages import TIERS
from actors.products import messages as products
from actors.referrals import messages as referrals
from actors.rfm_analytics import messages as rfm_analytics
from config.policies import (
    ADMIN_CORE,
    ADMIN_FEATURES,
    AUTH,
    CAMPAIGN,
    CONTROLS,
    CORE,
    DEFERRALS,
    EVENT_TRACKING,
    GAMIFICATION,
    LOGINS,
    PLATFORM,
    POINTS,
    PRODUCTS,
    REFERRALS,
    RFM_ANALYTICS,
)
from gateway.introspection_messages import INTROSPECTION
from gateway.switch_messages import SWITCHBOARD
from runtime import ActorSystem, AtHand, Call, Cast
from runtime.context import time_left_s
from runtime.jobs import JOBS
from runtime.outbox import RELAY
from runtime.parking import monotonic
from runtime.policies import Answer, Pipeline, Policies

Reply = TypeVar("Reply")
Ask: TypeAlias = Callable[[float | None], Awaitable[Reply]]
"""Asks once, given how long that may take in seconds; None where nothing limits it."""

DOMAIN_OF: Final[Mapping[str, str]] = {
    auth.KEYS: AUTH,
    auth.SESSIONS: AUTH,
    auth.API_KEYS: AUTH,
    auth.REVOCATIONS: AUTH,
    auth.GUARD: AUTH,
    auth.LOGINS: LOGINS,
    auth.CAPTCHA: LOGINS,
    auth.ACCOUNTS: LOGINS,
    auth.QUERIES: AUTH,
    admin_core.QUERIES: ADMIN_CORE,
    admin_features.FLAGS: ADMIN_FEATURES,
    admin_features.KEEPER: ADMIN_FEATURES,
    admin_core.PRIVACY: ADMIN_CORE,
    core.MERCHANTS: CORE,
    core.CUSTOMERS: CORE,
    core.ORDERS: CORE,
    core.QUERIES: CORE,
    core.IMPORTS: CORE,
    core.INTEGRATIONS: CORE,
    points.ACCOUNTS: POINTS,
    points.INTAKE: POINTS,
    points.QUERIES: POINTS,
    PROGRAM: POINTS,
    TIERS: POINTS,
    points.DEFERRALS: DEFERRALS,
    gamification.DEFINITIONS: GAMIFICATION,
    gamification.PLAYERS: GAMIFICATION,
    gamification.BOARDS: GAMIFICATION,
    campaign.CAMPAIGNS: CAMPAIGN,
    campaign.QUERIES: CAMPAIGN,
    BROADCASTS: CAMPAIGN,
    products.CATALOGUE: PRODUCTS,
    products.QUERIES: PRODUCTS,
    referrals.REFERRALS: REFERRALS,
    referrals.QUERIES: REFERRALS,
    referrals.CALLBACKS: REFERRALS,
    rfm_analytics.RUNS: RFM_ANALYTICS,
    rfm_analytics.QUERIES: RFM_ANALYTICS,
    event_tracking.TRACKER: EVENT_TRACKING,
    event_tracking.QUERIES: EVENT_TRACKING,
    JOBS: PLATFORM,
    RELAY: PLATFORM,
    SWITCHBOARD: CONTROLS,
    INTROSPECTION: CONTROLS,
}
"""By actor, the pipeline that asks to it go through."""

LAST_MOMENT_S: Final = 0.02
"""An ask ends so long before its deadline: its own error tells more than being cut off does, and
there is time left to answer with it."""


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
        """Ask the actor called `name`. What is asked for in `bulk` may take all the time that its
        request has, and says nothing about how fast others should be."""
        ref = self._system.ref(name)

        def ask(limit_s: float | None) -> Awaitable[Reply]:
            return ref.ask(message, timeout_s=limit_s)

        pipeline = self._pipeline(name)
        limit_s = time_left_s() if bulk else None
        return await _through(pipeline, ask, timeout_s, limit_s, repeatable, share)

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

        return await _through(self._pipeline(region), ask, timeout_s, None, repeatable, share)

    def notice(self, name: str) -> object | None:
        """What the actor called `name` has posted, if anything."""
        return self._system.ref(name).notice

    async def recall(
        self, name: str, message: Call[Reply], *, share: str | None = None
    ) -> Answer[Reply]:
        """As `ask`, of a read; instead of no answer, the last one to the same message, where the
        domain declares that and it is young enough. Who asks the same at the same time shares one
        ask. What the actor has at hand is not asked for, unless something holds asks back or spoils
        them on purpose: it takes no permit, and tells the breaker nothing."""
        ref, pipeline = self._system.ref(name), self._pipeline(name)
        at_hand = ref.notice
        if isinstance(at_hand, AtHand) and pipeline.undisturbed:
            known = at_hand.look_up(message)
            if known is not None:
                return Answer(known[0])

        async def attempt() -> Reply:
            return await ref.ask(message, timeout_s=max(0.0, time_left_s() - LAST_MOMENT_S))

        return await pipeline.answer(repr(message), attempt, share=share)

    def notify(self, name: str, message: Cast) -> bool:
        """Tell an actor of a domain, without waiting; false when it did not take it."""
        return self._system.ref(name).tell(message)

    def _pipeline(self, name: str) -> Pipeline:
        """Raises `KeyError` for an actor that no domain is named for."""
        return self._policies[DOMAIN_OF[name]]


async def _through(
    pipeline: Pipeline,
    ask: Ask[Reply],
    timeout_s: float | None,
    limit_s: float | None,
    repeatable: bool,
    share: str | None,
) -> Reply:
    """`timeout_s` is for all attempts together, `limit_s` in place of the domain's own limits."""
    until = monotonic() + timeout_s if timeout_s is not None else inf

    async def attempt() -> Reply:
        left_s = min(until - monotonic(), time_left_s() - LAST_MOMENT_S)
        return await ask(max(0.0, left_s) if left_s != inf else None)

    return await pipeline.call(attempt, repeatable=repeatable, share=share, limit_s=limit_s)
