"""What a plan says, once it is known to be right."""

from collections.abc import Mapping
from typing import Final

import attrs

DOMAINS: Final = (
    "auth",
    "admin_core",
    "admin_features",
    "core",
    "products",
    "referrals",
    "campaign",
    "points",
    "gamification",
    "rfm_analytics",
    "event_tracking",
)
"""All there are, in the order of their start. Each runs in one shard of a plan."""


@attrs.frozen
class RestartBounds:
    """A shard that ends more often than `most` times within `within_s` is declared down."""

    most: int = 5
    within_s: float = 30.0


@attrs.frozen(kw_only=True)
class ShardPlan:
    """One process. `http` is where it serves the API, None for one that only the others talk to.

    `link` is where the other shards reach it, `metrics` the port of its metrics and probes. It is
    ended when it has more than `memory_mib` MiB in memory (None: no limit), and when its loop has
    not turned for `silence_s`.
    """

    name: str
    domains: tuple[str, ...] = ()
    http: str | None = None
    link: str | None = None
    metrics: str | None = None
    memory_mib: int | None = None
    silence_s: float = 10.0


@attrs.frozen(kw_only=True)
class Plan:
    """All processes of the program, in the order of the file.

    `health` is the port of the parent, `relay` the shard that delivers events between domains.
    """

    shards: Mapping[str, ShardPlan]
    relay: str
    health: str = "127.0.0.1:8090"
    restarts: RestartBounds = RestartBounds()

    @property
    def edges(self) -> tuple[ShardPlan, ...]:
        """The shards that serve the API."""
        return tuple(shard for shard in self.shards.values() if shard.http is not None)

    @property
    def inner(self) -> tuple[ShardPlan, ...]:
        """The other ones."""
        return tuple(shard for shard in self.shards.values() if shard.http is None)

    def home(self, domain: str) -> ShardPlan:
        """The shard that has a domain. Raises `KeyError` for what is none."""
        for shard in self.shards.values():
            if domain in shard.domains:
                return shard
        raise KeyError(domain)
