"""Which domain has which actors, and what of them is reached from other processes."""

from collections.abc import Mapping
from typing import Final

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
from actors.rfm_analytics.forgetting import FORGETTING

DOMAINS: Final = "loyalnest.domains"
"""Name of the supervisor whose children are the domains."""


@attrs.frozen
class Names:
    """Actors and regions of entities, by the names they are registered under."""

    actors: tuple[str, ...]
    regions: tuple[str, ...] = ()


REACHED: Final[Mapping[str, Names]] = {
    "auth": Names(
        (
            auth.KEYS,
            auth.SESSIONS,
            auth.API_KEYS,
            auth.REVOCATIONS,
            auth.GUARD,
            auth.LOGINS,
            auth.CAPTCHA,
            auth.ACCOUNTS,
            auth.QUERIES,
        )
    ),
    "admin_core": Names((admin_core.AUDIT, admin_core.PRIVACY, admin_core.QUERIES)),
    "admin_features": Names((admin_features.FLAGS,)),
    "core": Names(
        (
            core.MERCHANTS,
            core.QUERIES,
            core.CUSTOMERS,
            core.ORDERS,
            core.IMPORTS,
            core.INTEGRATIONS,
            core.CONTACTS,
        )
    ),
    "products": Names((products.CATALOGUE, products.QUERIES)),
    "referrals": Names(
        (
            referrals.REFERRALS,
            referrals.QUERIES,
            referrals.ORDERS,
            referrals.PEOPLE,
            referrals.CALLBACKS,
        )
    ),
    "campaign": Names((campaign.RULES, campaign.QUERIES, campaign.CAMPAIGNS, BROADCASTS)),
    "points": Names(
        (
            points.QUERIES,
            PROGRAM,
            points.INTAKE,
            points.ORDER_REFUNDS,
            points.MERGERS,
            TIERS,
            points.FOLLOWING,
            points.DEFERRALS,
        ),
        (points.ACCOUNTS,),
    ),
    "gamification": Names(
        (gamification.DEFINITIONS, gamification.INTAKE, gamification.BOARDS),
        (gamification.PLAYERS,),
    ),
    "rfm_analytics": Names((rfm_analytics.QUERIES, rfm_analytics.RUNS, FORGETTING)),
    "event_tracking": Names(
        (event_tracking.TRACKER, event_tracking.QUERIES, event_tracking.FORGETTER)
    ),
}
"""What of each domain others call: the gateway, other domains, and the relay. A domain's keeper of
flags is not among it: there is one in every process."""
