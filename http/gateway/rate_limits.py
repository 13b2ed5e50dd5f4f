"""How often a merchant, a customer or an address may call: in all, and each route."""

from collections.abc import Mapping
from math import ceil
from typing import Final

import attrs
from prometheus_client import CollectorRegistry

from actors.auth.messages import Principal
from gateway.addresses import counted_as
from gateway.problems import Headers, Problem
from runtime.policies.limiters import Limiter
from runtime.policies.limits import Claim, Decision, Limit, per_minute
from runtime.tallies import Counter
from runtime.telemetry import PREFIX

WARN_BELOW: Final = 0.1
"""The part of a limit below which answers tell how much is left."""

CLAIMS_MAX: Final = 4_096
"""Callers and routes whose claims are kept ready."""

SUBJECT_MAX: Final = 64
MINUTE_S: Final = 60

MERCHANT: Final = "merchant"
CUSTOMER: Final = "customer"
ADDRESS: Final = "address"
AUTHENTICATION: Final = "authentication"
MERCHANT_ROUTE: Final = "merchant_route"
PERSON_ROUTE: Final = "person_route"
ADDRESS_ROUTE: Final = "address_route"

NO_HEADERS: Final[Headers] = ()


@attrs.frozen(kw_only=True)
class RateLimitSettings:
    """Calls per minute; 0 for no limit. `routes` are by name, and win over those of the routes."""

    merchant_per_minute: int = 60_000
    customer_per_minute: int = 1_200
    address_per_minute: int = 6_000
    routes: Mapping[str, int] = attrs.field(factory=dict)


def rejections(registry: CollectorRegistry) -> Counter:
    """The metric of refused calls."""
    return Counter(
        "ratelimit_rejections",
        "Requests over a rate limit",
        ("scope",),
        PREFIX,
        registry=registry,
    )


def _limit(count: int) -> Limit | None:
    return per_minute(count) if count else None


class RateLimits:
    """Admits requests, or refuses them with 429.

    Callers with a token are counted by what the verified token says: a merchant's calls count
    against that merchant wherever they come from, so that many merchants behind one address do
    not starve each other. Only requests without a valid token count against an address.
    """

    def __init__(self, limiter: Limiter, settings: RateLimitSettings, rejected: Counter) -> None:
        self._limiter = limiter
        self._rejected = rejected
        self._merchant = _limit(settings.merchant_per_minute)
        self._customer = _limit(settings.customer_per_minute)
        self._address = _limit(settings.address_per_minute)
        self._claims: dict[tuple[str | None, ...], list[Claim]] = {}

    async def caller(
        self, principal: Principal, route: str, limit: Limit | None, *, personal: bool = False
    ) -> Headers:
        """Count a call with a valid token; headers for its answer. Raises `Problem`.

        The limit of a `personal` route is that of the caller, so that nobody uses up what others
        of the same merchant need.
        """
        known = (principal.merchant_id, principal.customer_id, principal.subject, route)
        claims = self._claims.get(known)
        if claims is None:
            if len(self._claims) == CLAIMS_MAX:
                self._claims.clear()
            claims = self._claims[known] = self._of(principal, route, limit, personal)
        return await self._take(claims)

    def _of(
        self, principal: Principal, route: str, limit: Limit | None, personal: bool
    ) -> list[Claim]:
        whose = principal.merchant_id or f"platform/{principal.subject[:SUBJECT_MAX]}"
        claims = []
        if limit is not None and personal:
            person = principal.customer_id or principal.subject[:SUBJECT_MAX]
            key = f"{PERSON_ROUTE}:{whose}:{person}:{route}"
            claims.append(Claim(PERSON_ROUTE, key, limit))
        elif limit is not None:
            claims.append(Claim(MERCHANT_ROUTE, f"{MERCHANT_ROUTE}:{whose}:{route}", limit))
        if principal.customer_id is not None and self._customer is not None:
            key = f"{CUSTOMER}:{whose}:{principal.customer_id}"
            claims.append(Claim(CUSTOMER, key, self._customer))
        if self._merchant is not None:
            claims.append(Claim(MERCHANT, f"{MERCHANT}:{whose}", self._merchant))
        return claims

    async def stranger(self, address: str, route: str, limit: Limit | None) -> Headers:
        """Count a call that needs no token; headers for its answer. Raises `Problem`."""
        counted = counted_as(address)
        claims = []
        if limit is not None:
            claims.append(Claim(ADDRESS_ROUTE, f"{ADDRESS_ROUTE}:{counted}:{route}", limit))
        if self._address is not None:
            claims.append(Claim(ADDRESS, f"{ADDRESS}:{counted}", self._address))
        return await self._take(claims)

    async def failed_authentication(self, address: str) -> None:
        """Count a token that is not valid. Raises `Problem` once there were too many.

        Valid tokens from the same address are served on.
        """
        if self._address is not None:
            key = f"{AUTHENTICATION}:{counted_as(address)}"
            await self._take([Claim(AUTHENTICATION, key, self._address)])

    async def _take(self, claims: list[Claim]) -> Headers:
        if not claims:
            return NO_HEADERS
        decision = await self._limiter.take(*claims)
        if not decision.allowed:
            self._rejected.labels(decision.claim.scope).inc()
            raise too_many(decision)
        return _told(decision) if decision.left < WARN_BELOW else NO_HEADERS


def too_many(decision: Decision) -> Problem:
    """429. After the seconds in `Retry-After` the same call is admitted, if no other one comes."""
    wait_s = max(1, ceil(decision.verdict.retry_after_s))
    scope, limit = decision.claim.scope.replace("_", " and "), decision.claim.limit
    detail = f"more than {limit.burst} requests per minute of one {scope}; nothing was changed"
    headers = (("retry-after", str(wait_s)), *_told(decision))
    return Problem(429, "rate_limited", detail, headers)


def _told(decision: Decision) -> Headers:
    """The limit in the headers of the IETF's draft on rate limits."""
    scope, limit, verdict = decision.claim.scope, decision.claim.limit, decision.verdict
    wait_s = ceil(verdict.retry_after_s or limit.interval_us / 1_000_000)
    return (
        ("ratelimit-policy", f'"{scope}";q={limit.burst};w={MINUTE_S}'),
        ("ratelimit", f'"{scope}";r={verdict.remaining};t={wait_s}'),
    )
