"""Whose address a request comes from, also behind proxies, and what counts as one address."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import attrs

Network = IPv4Network | IPv6Network
RawHeaders = Iterable[tuple[bytes, bytes]]

UNKNOWN: Final = "unknown"
FORWARDED_FOR: Final = b"x-forwarded-for"

HOPS_MAX: Final = 32
"""Addresses of `X-Forwarded-For` that are looked at, from the right."""

SITE_BITS: Final = 64
"""An IPv6 network of this length belongs to one customer, who may use all of it."""

TEXT_MAX: Final = 64
REMEMBERED: Final = 4_096


def proxies(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks of trusted proxies. Raises `ValueError`."""
    return tuple(ip_network(text) for text in texts)


@attrs.frozen
class ClientAddresses:
    """Finds the client of a request. Only `trusted` proxies are believed about it.

    A proxy appends the address that it was called from to `X-Forwarded-For`. So what counts is
    the right-most address that is not a trusted proxy's; what stands left of it, the client may
    have made up.
    """

    trusted: Sequence[Network] = ()

    def client(self, peer: str | None, headers: RawHeaders) -> str:
        """The address as text, `UNKNOWN` for a peer without one."""
        if peer is None:
            return UNKNOWN
        if not self.trusted or not self.trusts(peer):
            return peer
        client = peer
        for hop in _hops(headers):
            address = _read(hop)
            if address is None:
                return client
            client = str(address)
            if not self.trusts(client):
                return client
        return client

    def trusts(self, peer: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        address = _read(peer)
        return address is not None and any(address in network for network in self.trusted)


def _hops(headers: RawHeaders) -> Iterable[str]:
    """The forwarded addresses, the right-most first."""
    values = [value for name, value in headers if name == FORWARDED_FOR]
    listed = b",".join(values).rsplit(b",", HOPS_MAX)
    first = 1 if len(listed) > HOPS_MAX else 0
    return [hop.decode("latin1").strip() for hop in reversed(listed[first:])]


def _read(text: str) -> IPv4Address | IPv6Address | None:
    return _parsed(text) if len(text) <= TEXT_MAX else None


@lru_cache(REMEMBERED)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address, perhaps with a port as some proxies write it. An IPv4 address in an IPv6 one
    is the IPv4 address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(REMEMBERED)
def counted_as(address: str) -> str:
    """What an address counts as in limits: itself, or the network of an IPv6 address."""
    read = _read(address)
    if not isinstance(read, IPv6Address):
        return address if read is None else str(read)
    return str(IPv6Network((int(read) >> SITE_BITS << SITE_BITS, SITE_BITS)))
