"""Every bound of the application behind the listener."""

import attrs

from runtime.policies import SheddingMode, SheddingSpec

KIB = 1024


@attrs.frozen(kw_only=True)
class GatewaySettings:
    """A request has `deadline_s` for everything below it, and `body_timeout_s` to arrive."""

    deadline_s: float = 3.0
    body_timeout_s: float = 10.0
    body_max_bytes: int = 256 * KIB
    batch_body_max_bytes: int = 1024 * KIB
    cached_tokens_max: int = 10_000
    keys_timeout_s: float = 1.0
    in_flight_wait_s: float = 2.0
    shedding: SheddingSpec = attrs.field(factory=SheddingSpec)
    shedding_mode: SheddingMode = SheddingMode.AUTOMATIC
    version: str = "0.1.0"
