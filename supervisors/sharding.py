"""Parts from plans: what a shard has, and how it reaches the others."""

from collections.abc import Callable, Sequence
from hashlib import blake2s
from typing import Final

import attrs
from prometheus_client import CollectorRegistry

from config.plans import Plan, ShardPlan
from runtime.links import (
    LinkLimits,
    LinkNetwork,
    Links,
    LinksSpec,
    Offers,
    PeerSpec,
)
from runtime.outbox import RELAY
from runtime.ownership import Ownership
from supervisors.health import OtherShard
from supervisors.part import Part
from supervisors.placement import REACHED, Names
from supervisors.shard_messages import changes_name, conditions_name
from supervisors.wire import wire_types

DIGEST_BYTES: Final = 4

LIMITS: Final = LinkLimits(backoff_cap_s=1.0)
"""A shard that is started again is found within a second."""


@attrs.frozen(kw_only=True)
class ShardSpec:
    """What a shard's part needs beside the plan: a network, and the secrets that links are
    opened with (`runtime.links.LinksSpec`)."""

    network: LinkNetwork
    secrets: Callable[[], Sequence[bytes]] = attrs.field(repr=False)
    registry: CollectorRegistry


def part_of(plan: Plan, own: ShardPlan, spec: ShardSpec) -> Part:
    """What the plan gives a shard. One that is alone in its plan has everything, and no links."""
    if len(plan.shards) == 1:
        return Part(name=own.name)
    digest = digest_of(plan)
    ownership = Ownership(f"{own.name}@{digest}", family=f"%@{digest}")
    return Part(
        name=own.name,
        domains=frozenset(own.domains),
        relay=plan.relay == own.name,
        ownership=ownership,
        links=Links(_links(plan, own, spec, ownership), spec.registry),
        edges=tuple(shard.name for shard in plan.edges if shard is not own),
    )


def digest_of(plan: Plan) -> str:
    """The same for plans that divide the domains in the same way."""
    divided = sorted((shard.name, sorted(shard.domains)) for shard in plan.shards.values())
    return blake2s(repr(divided).encode(), digest_size=DIGEST_BYTES).hexdigest()


def others_of(plan: Plan, own: ShardPlan) -> tuple[OtherShard, ...]:
    """The shards that have the domains that are not here."""
    return tuple(
        OtherShard(shard.name, shard.domains) for shard in plan.shards.values() if shard is not own
    )


def _links(plan: Plan, own: ShardPlan, spec: ShardSpec, ownership: Ownership) -> LinksSpec:
    """Of two processes that say that they are the same shard, the one that claimed its partition
    later counts."""
    order = list(plan.shards)
    offered = names_of(plan, own)
    return LinksSpec(
        shard=own.name,
        peers=tuple(
            _peer(plan, shard, dialled=order.index(shard.name) < order.index(own.name))
            for shard in plan.shards.values()
            if shard is not own
        ),
        types=wire_types(),
        network=spec.network,
        secrets=spec.secrets,
        listen=own.link,
        generation=lambda: ownership.epoch,
        limits=LIMITS,
        offers=Offers(actors=frozenset(offered.actors), regions=frozenset(offered.regions)),
    )


def _peer(plan: Plan, shard: ShardPlan, *, dialled: bool) -> PeerSpec:
    """Of two shards the one that comes later in the plan dials."""
    names = names_of(plan, shard)
    return PeerSpec(
        name=shard.name,
        address=shard.link if dialled else None,
        actors=names.actors,
        regions=names.regions,
    )


def names_of(plan: Plan, shard: ShardPlan) -> Names:
    """What the others reach in a shard."""
    actors = [conditions_name(shard.name), changes_name(shard.name)]
    if plan.relay == shard.name:
        actors.append(RELAY)
    regions: list[str] = []
    for domain in shard.domains:
        actors += REACHED[domain].actors
        regions += REACHED[domain].regions
    return Names(tuple(actors), tuple(regions))
