"""The links of one shard, as whoever builds its tree sees them."""

from __future__ import annotations

import attrs

from runtime.child import ChildSpec
from runtime.links.spec import LinksSpec

LINKS = "links"
"""The supervisor of a shard's links."""


@attrs.frozen(kw_only=True)
class LinkStatistics:
    """Of the links to one peer. `credit` is how many more messages may be sent before the peer
    grants others, `outstanding` are asks that it has not answered, `serving` those of its own
    that are worked on here. `incarnation` is that of the process at the other end."""

    peer: str
    up: bool
    incarnation: str | None
    outstanding: int
    serving: int
    credit: int
    sessions: int
    round_trip_s: float | None


class Links:
    """All links of one shard. Made once for a tree, beside it: it outlives restarts in there."""

    def __init__(self, spec: LinksSpec) -> None:
        self.spec = spec

    @property
    def address(self) -> str | None:
        """Where peers reach this shard, once it listens; with the port that it was given."""

    async def up(self, *peers: str) -> None:
        """Wait until there are links to these peers, or to all that there are. A checkpoint."""

    def is_up(self, peer: str) -> bool:
        """Whether there is a link to this peer now."""

    def statistics(self) -> tuple[LinkStatistics, ...]:
        """Of every peer, in the order of the specification."""


def links_child(links: Links, id_: str = LINKS) -> ChildSpec:
    """The supervisor of everything that makes links, to be put into a tree.

    Its children are a proxy for each actor and region of the peers, a dialer for each peer with
    an address, and the listener. Put it before those who ask remote actors when they start; what
    it offers to peers may come up later, until then they get `ActorDown`. Stopped, it says goodbye
    to its peers and waits for what is under way, `drain_s` at most.
    """
