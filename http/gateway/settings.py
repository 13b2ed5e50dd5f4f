"""Every bound of the application behind the listener."""

import attrs

from gateway.addresses import Network
from gateway.rate_limits import RateLimitSettings
from runtime.policies import SheddingMode, SheddingSpec

KIB = 1024


@attrs.frozen(kw_only=True)
class GatewaySettings:
    """A request has `deadline_s` for everything below it, and `body_timeout_s` to arrive.

    `trusted_proxies` are believed about where a request comes from, pages of `cors_origins` may
    read answers, and with `hsts_max_age_s` browsers are told to come by TLS only.
    """

    deadline_s: float = 3.0
    body_timeout_s: float = 10.0
    body_max_bytes: int = 256 * KIB
    batch_body_max_bytes: int = 1024 * KIB
    admin_body_max_bytes: int = 64 * KIB
    target_max_bytes: int = 8 * KIB
    cached_tokens_max: int = 10_000
    keys_timeout_s: float = 1.0
    in_flight_wait_s: float = 2.0
    shedding: SheddingSpec = attrs.field(factory=SheddingSpec)
    shedding_mode: SheddingMode = SheddingMode.AUTOMATIC
    trusted_proxies: tuple[Network, ...] = ()
    cors_origins: frozenset[str] = frozenset()
    hsts_max_age_s: int = 0
    rate_limits: RateLimitSettings = attrs.field(factory=RateLimitSettings)
    version: str = "0.1.0"
