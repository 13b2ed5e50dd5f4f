"""What the gateway's calls of the domains go through, as far as no setting says it."""

from collections.abc import Mapping
from typing import Final

import attrs

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
from runtime import ActorDown, ActorError, AskTimeout, Expired
from runtime.links import LinkDown
from runtime.policies import (
    FAILED,
    FAILED_FOR_GOOD,
    IGNORED,
    Again,
    BulkheadSpec,
    Effect,
    FallbackKind,
    FallbackSpec,
    Judge,
    Judgement,
    PipelineSpec,
)
from runtime.policies.fallback import NO_FALLBACK
from runtime.storage import StorageError

MESSAGES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    ADMIN_CORE: ("actors.admin_core.",),
    ADMIN_FEATURES: ("actors.admin_features.",),
    AUTH: ("actors.auth.",),
    CAMPAIGN: ("actors.campaign.",),
    CORE: ("actors.core.",),
    PRODUCTS: ("actors.products.",),
    REFERRALS: ("actors.referrals.",),
    POINTS: ("actors.points.",),
    RFM_ANALYTICS: ("actors.rfm_analytics.",),
    DEFERRALS: ("actors.points.",),
    EVENT_TRACKING: ("actors.event_tracking.",),
    GAMIFICATION: ("actors.gamification.",),
    PLATFORM: ("runtime.jobs.", "runtime.outbox"),
    CONTROLS: ("gateway.switch_messages", "gateway.introspection_messages"),
    LOGINS: ("actors.auth.",),
}
"""By domain, where its messages are defined. Earnings are put off when the rest of points does not
answer, so that what takes them stands alone. A flood of logins must not hold up those who are in
already, so that logins stand alone as well."""

ANOTHER_DOWN: Final = Judgement(Effect.IGNORED, Again.IF_REPEATABLE, "another domain is down")


NO_LINK: Final = Judgement(Effect.IGNORED, Again.IF_REPEATABLE, "no link")
"""To the shard of the domain. Asks fail at once until there is one, and are answered again from
then on: a breaker would only add its time to that."""


def judge_of(domain: str) -> Judge:
    """What an error says about a domain.

    That an actor of it is down, or did not answer in time, is its failure. What it says about the
    store or about another domain it stands on, or because its mailbox is full, is not. Whose
    actor was asked is known by the message, which the error gives back. Only what went down is
    asked again: what took too long would take the rest of the time as well.
    """
    own = MESSAGES_OF[domain]

    def judge(error: Exception) -> Judgement:
        if isinstance(error, StorageError):
            return IGNORED
        if not isinstance(error, ActorError):
            return FAILED_FOR_GOOD
        if isinstance(error, LinkDown):
            return NO_LINK
        ours = type(error.message).__module__.startswith(own)
        if isinstance(error, ActorDown):
            return FAILED if ours else ANOTHER_DOWN
        return FAILED_FOR_GOOD if ours and isinstance(error, AskTimeout | Expired) else IGNORED

    return judge


LAST_KNOWN: Final = FallbackSpec(kind=FallbackKind.CACHED, max_age_s=900.0, keys_max=2_000)

SEGMENTS_MAX_AGE_S: Final = 172_800.0
"""Segments say as of when they are, and are acted upon for two days."""

FALLBACKS: Final[Mapping[str, FallbackSpec]] = {
    CORE: LAST_KNOWN,
    PRODUCTS: LAST_KNOWN,
    RFM_ANALYTICS: attrs.evolve(LAST_KNOWN, max_age_s=SEGMENTS_MAX_AGE_S),
}
"""What is better old, and marked as such, than missing: the catalogue, segments, and single
merchants and customers. All else has none: a balance that is to be spent and an authorisation
never come from here."""

DOMAIN_SPECS: Final[Mapping[str, PipelineSpec]] = {
    domain: PipelineSpec(
        judge=judge_of(domain),
        bulkhead=BulkheadSpec(strict_shares=True),
        fallback=FALLBACKS.get(domain, NO_FALLBACK),
    )
    for domain in MESSAGES_OF
}
"""Of the permits of each, one merchant has half at most."""
