"""What a shard's links are made of: itself, its peers, and the bounds of everything."""

from collections.abc import Callable, Sequence

import attrs

from runtime.links.transport import LinkNetwork
from runtime.links.wire_types import WireTypes

SECRET_BYTES_MIN = 16


@attrs.frozen(kw_only=True)
class LinkLimits:
    """The bounds of one link.

    `window` messages may be under way to the other side without having been answered, as the
    receiver grants them. `frame_bytes_max` bounds one message as encoded. A link is lost when its
    handshake or a connection attempt takes longer than `handshake_s`, when a ping is not answered
    within `silence_max_s` (one is sent each `ping_every_s`), or when the network takes nothing for
    `send_s`. One that is ended in order has `drain_s` for what is under way. Attempts to connect
    wait a time drawn evenly between 0 and `backoff_base_s` · 2ⁿ, at most `backoff_cap_s`.
    """

    window: int = attrs.field(default=256, validator=attrs.validators.ge(1))
    mailbox: int = attrs.field(default=1024, validator=attrs.validators.ge(1))
    frame_bytes_max: int = attrs.field(default=1 << 20, validator=attrs.validators.ge(1024))
    handshake_s: float = 5.0
    ping_every_s: float = 1.0
    silence_max_s: float = 3.0
    send_s: float = 5.0
    drain_s: float = 3.0
    backoff_base_s: float = 0.1
    backoff_cap_s: float = 5.0
    connections_max: int = 64


@attrs.frozen(kw_only=True)
class PeerSpec:
    """Another shard: where it is reached, and what lives there.

    With an `address` (`host:port`) this shard dials; without one it waits to be dialled. Of two
    shards one dials the other, and the link serves both ways. `actors` are names, `regions` those
    of entities; for each of them there is a proxy under the same name in this shard.
    """

    name: str
    address: str | None = None
    actors: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Offers:
    """What peers may reach in this shard: names of actors and of regions. None: all of them."""

    actors: frozenset[str] | None = None
    regions: frozenset[str] | None = None


def _one_generation() -> int:
    return 0


@attrs.frozen(kw_only=True)
class LinksSpec:
    """All links of one shard.

    `secrets` gives the shared secrets, the one to use first; those after it are still accepted,
    while they are being replaced. Whatever it raises fails one handshake. `generation` counts
    the processes that have had the name `shard`: of two that say they are the same shard the
    higher one counts, and of equal ones the one that connected last. Both are read at each
    handshake. `listen` is the address where peers
    dial this shard, None where none does. Raises `ValueError` for a name in two places.
    """

    shard: str
    peers: tuple[PeerSpec, ...]
    types: WireTypes
    network: LinkNetwork
    secrets: Callable[[], Sequence[bytes]] = attrs.field(repr=False)
    listen: str | None = None
    offers: Offers = Offers()
    generation: Callable[[], int] = _one_generation
    limits: LinkLimits = LinkLimits()

    def __attrs_post_init__(self) -> None:
        shards = (self.shard, *(peer.name for peer in self.peers))
        actors = [name for peer in self.peers for name in peer.actors]
        regions = [name for peer in self.peers for name in peer.regions]
        for names in (shards, actors, regions):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"in two places: {', '.join(sorted(twice))}")
