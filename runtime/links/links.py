"""The links of one shard, as whoever builds its tree sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import attrs
import trio
from prometheus_client import CollectorRegistry

from runtime.actor import Actor
from runtime.child import Backoff, ChildSpec, ChildType
from runtime.links.dialing import Dialer, Listener
from runtime.links.directory import Directory
from runtime.links.frames import BATCH_BYTES, BATCH_OVERHEAD_BYTES
from runtime.links.metrics import LinkMetrics
from runtime.links.peer import Peer
from runtime.links.proxies import RemoteActor, RemoteEntities
from runtime.links.spec import LinksSpec
from runtime.mailbox import MailboxSpec
from runtime.registries import in_registry
from runtime.supervisor import Supervisor
from runtime.system import ActorSystem

LINKS = "links"
"""The supervisor of a shard's links."""

INTENSITY, PERIOD_S = 10, 30.0
STOP_MARGIN_S = 2.0
"""Beside `drain_s`, for those who say goodbye."""

PROXY_STOP_S = 0.5
"""A proxy that waits for credit is not waited for."""


@attrs.frozen(kw_only=True)
class LinkStatistics:
    """Of the links to one peer. `credit` is how many more messages may be sent before the peer
    grants others, `outstanding` are asks that it has not answered, `serving` those of its own
    that are worked on here. `incarnation` is that of the process at the other end; `sessions`
    counts the links that there were."""

    peer: str
    up: bool
    incarnation: str | None
    outstanding: int
    serving: int
    credit: int
    sessions: int
    round_trip_s: float | None


class Links:
    """All links of one shard. Made once for a tree, beside it: it outlives restarts in there.

    `registry` is where the metrics go, that of the system usually.
    """

    def __init__(self, spec: LinksSpec, registry: CollectorRegistry | None = None) -> None:
        self.spec = spec
        self.directory = Directory(spec.shard)
        self.metrics = in_registry(registry or CollectorRegistry(), LinkMetrics)
        self._peers = {peer.name: Peer(peer) for peer in spec.peers}
        self._incarnation: str | None = None
        self._address: str | None = None
        self._changed = trio.Event()
        for peer in self._peers.values():
            self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        def read(what: str) -> Callable[[], float]:
            return lambda: float(getattr(self.statistics_of(peer), what))

        self.metrics.watch(peer.name, *map(read, ("up", "outstanding", "serving", "credit")))

    def peer(self, name: str) -> Peer:
        """For the parts of links. Raises `KeyError`."""
        return self._peers[name]

    def incarnation(self, system: ActorSystem) -> str:
        """An id of this process, as peers see it."""
        if self._incarnation is None:
            self._incarnation = system.ids.new("shard")
        return self._incarnation

    @property
    def message_bytes_max(self) -> int:
        """Of one message of the transport."""
        return self.spec.limits.frame_bytes_max + BATCH_BYTES + BATCH_OVERHEAD_BYTES

    @property
    def address(self) -> str | None:
        """Where peers reach this shard, once it listens; with the port that it was given."""
        return self._address

    def listening(self, address: str | None) -> None:
        """The listener is reached there, or nowhere any more."""
        self._address = address
        self.changed()

    def changed(self) -> None:
        """A link came up or ended, or the listener did."""
        self._changed.set()
        self._changed = trio.Event()

    async def listens(self) -> str:
        """Wait until peers can dial this shard, and where. A checkpoint."""
        await trio.lowlevel.checkpoint()
        while self._address is None:
            await self._changed.wait()
        return self._address

    async def up(self, *peers: str) -> None:
        """Wait until there are links to these peers, or to all that there are. A checkpoint."""
        await trio.lowlevel.checkpoint()
        while not all(map(self.is_up, peers or self._peers)):
            await self._changed.wait()

    def is_up(self, peer: str) -> bool:
        """Whether there is a link to this peer now."""
        session = self._peers[peer].session
        return session is not None and session.open

    def statistics_of(self, peer: Peer) -> LinkStatistics:
        session = peer.session
        return LinkStatistics(
            peer=peer.name,
            up=self.is_up(peer.name),
            incarnation=session.introduction.hello.incarnation if session is not None else None,
            outstanding=len(session.outgoing.asks) if session is not None else 0,
            serving=len(session.incoming.asks) if session is not None else 0,
            credit=session.outgoing.credit if session is not None else 0,
            sessions=peer.sessions,
            round_trip_s=session.round_trip_s if session is not None else None,
        )

    def statistics(self) -> tuple[LinkStatistics, ...]:
        """Of every peer, in the order of the specification."""
        return tuple(map(self.statistics_of, self._peers.values()))


def links_child(links: Links, id_: str = LINKS) -> ChildSpec:
    """The supervisor of everything that makes links, to be put into a tree.

    Its children are a proxy for each actor and region of the peers, a dialer for each peer with
    an address, and the listener. Put it before those who ask remote actors when they start; what
    it offers to peers may come up later, until then they get `ActorDown`. Stopped, it says goodbye
    to its peers and waits for what is under way, `drain_s` at most.
    """

    def start() -> Supervisor:
        return Supervisor(
            (*_proxies(links), *_makers(links)),
            intensity=INTENSITY,
            period_s=PERIOD_S,
            backoff=Backoff(),
        )

    return ChildSpec(id_, start, type=ChildType.SUPERVISOR, name=id_)


def _proxies(links: Links) -> Iterator[ChildSpec]:
    for peer in links.spec.peers:
        for name in peer.actors:
            yield _proxy(
                f"{peer.name}:{name}", partial(RemoteActor, links, peer.name, name), links, name
            )
        for region in peer.regions:
            make = partial(RemoteEntities, links, peer.name, region)
            yield _proxy(f"{peer.name}:{region}/", make, links)


def _proxy(id_: str, make: Callable[[], Actor], links: Links, name: str | None = None) -> ChildSpec:
    mailbox = MailboxSpec(links.spec.limits.mailbox)
    return ChildSpec(id_, make, shutdown_s=PROXY_STOP_S, mailbox=mailbox, name=name)


def _makers(links: Links) -> Iterator[ChildSpec]:
    stop_s = links.spec.limits.drain_s + STOP_MARGIN_S
    for peer in links.spec.peers:
        if peer.address is not None:
            dialer = partial(Dialer, links, links.peer(peer.name))
            yield ChildSpec(f"dialer of {peer.name}", dialer, shutdown_s=stop_s)
    if links.spec.listen is not None:
        yield ChildSpec("listener", partial(Listener, links), shutdown_s=stop_s)
