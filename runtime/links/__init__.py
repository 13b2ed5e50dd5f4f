"""Links: what lets an actor system reach the actors and entities of another one.

Each system is a *shard*. A name that lives elsewhere is registered here by a proxy, so that
`system.ref(name)` and `system.entities(region).ref(key)` work wherever it lives. `docs/links.md`
has the protocol, what is promised, and what is not.

A tree with links::

    links = Links(
        LinksSpec(
            shard="gateway",
            peers=(PeerSpec(name="points", address="points:7400", actors=("points.intake",)),),
            types=WireTypes(modules=(messages,), errors=(StorageUnavailable,)),
            network=WebSocketNetwork(),
            secrets=lambda: (b"...",),
        )
    )
    root = Supervisor((links_child(links), ...))
"""

from runtime.links.errors import LinkDown, LinkLost, NotSendable, ProtocolViolation, TransportClosed
from runtime.links.links import LINKS, Links, LinkStatistics, links_child
from runtime.links.spec import LinkLimits, LinksSpec, Offers, PeerSpec
from runtime.links.transport import LinkNetwork, LinkTransport, Serve
from runtime.links.websocket import WebSocketNetwork
from runtime.links.wire_types import NotWireable, WireTypes

__all__ = [
    "LINKS",
    "LinkDown",
    "LinkLimits",
    "LinkLost",
    "LinkNetwork",
    "LinkStatistics",
    "LinkTransport",
    "Links",
    "LinksSpec",
    "NotSendable",
    "NotWireable",
    "Offers",
    "PeerSpec",
    "ProtocolViolation",
    "Serve",
    "TransportClosed",
    "WebSocketNetwork",
    "WireTypes",
    "links_child",
]
