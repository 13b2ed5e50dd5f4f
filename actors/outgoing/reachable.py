"""Which addresses a merchant's URL may lead to: decided on what its name has resolved to."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = ip_network("64:ff9b::/96")
SPECIAL = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "fec0::/10",
    )
)
"""Ranges of no use on the internet, beside those that the standard library knows (RFC 6890)."""


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for: mapped, NAT64, 6to4 or Teredo."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64 or int(address) >> 32 == 0:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether it is somebody's on the internet: no loopback, private, link-local or special one."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    inner = embedded(address)
    if inner.is_multicast or not inner.is_global:
        return False
    return not any(inner.version == network.version and inner in network for network in SPECIAL)


class Unreachable(Exception):
    """The name leads to an address that nobody outside may be sent to. It names none."""


@attrs.frozen
class Reachable:
    """What may be connected to. `allowed` are networks that may be in any case, for development."""

    allowed: tuple[Network, ...] = ()

    def check(self, resolved: Iterable[str]) -> tuple[str, ...]:
        """The addresses, when all of them may be connected to. Raises `Unreachable`.

        One that may not is enough: whoever answers with both kinds means no good.
        """
        found = tuple(resolved)
        if not found or not all(map(self._may, found)):
            raise Unreachable("the name leads to no address on the internet")
        return found

    def _may(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if any(address.version == net.version and address in net for net in self.allowed):
            return True
        return is_public(address)
