"""Whose address a request comes from: forged headers change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.addresses import HOPS_MAX, UNKNOWN, ClientAddresses, counted_as, proxies

PROXY = "10.0.0.1"
BEHIND = ClientAddresses(proxies(["10.0.0.0/8", "fd00::/8"]))
FORGED = [(b"x-forwarded-for", b"6.6.6.6")]


def forwarded(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value) for value in values]


def test_without_proxies_the_header_means_nothing() -> None:
    assert ClientAddresses().client("192.0.2.7", FORGED) == "192.0.2.7"


def test_a_peer_that_is_no_proxy_is_not_believed() -> None:
    assert BEHIND.client("192.0.2.7", FORGED) == "192.0.2.7"


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ((), PROXY),
        ((b"192.0.2.7",), "192.0.2.7"),
        ((b"6.6.6.6, 192.0.2.7",), "192.0.2.7"),
        ((b"6.6.6.6", b"192.0.2.7"), "192.0.2.7"),
        ((b"6.6.6.6, 192.0.2.7, 10.2.3.4",), "192.0.2.7"),
        ((b"192.0.2.7,10.2.3.4 , fd00::1",), "192.0.2.7"),
        ((b"10.2.3.4",), "10.2.3.4"),
        ((b"192.0.2.7:51234",), "192.0.2.7"),
        ((b"[2001:db8::7]:443",), "2001:db8::7"),
        ((b"2001:DB8::7",), "2001:db8::7"),
        ((b"::ffff:192.0.2.7",), "192.0.2.7"),
        ((b"6.6.6.6, nonsense",), PROXY),
        ((b"6.6.6.6, nonsense, 10.2.3.4",), "10.2.3.4"),
        ((b"",), PROXY),
        ((b"\xff\xfe",), PROXY),
    ],
)
def test_behind_a_proxy_the_rightmost_address_that_is_no_proxy_s_counts(
    values: tuple[bytes, ...], client: str
) -> None:
    assert BEHIND.client(PROXY, forwarded(*values)) == client


def test_a_peer_without_an_address_is_unknown() -> None:
    assert BEHIND.client(None, FORGED) == UNKNOWN


def test_an_endless_list_is_read_from_the_right_and_not_to_its_end() -> None:
    hops = b", ".join([b"6.6.6.6", *[b"10.9.9.9"] * (HOPS_MAX + 5)])
    assert BEHIND.client(PROXY, forwarded(hops)) == "10.9.9.9"


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_whatever_a_client_writes_before_the_proxy_s_own_entry_changes_nothing(
    lines: list[bytes],
) -> None:
    assert BEHIND.client(PROXY, forwarded(*lines, b"192.0.2.7")) == "192.0.2.7"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address: str, counted: str) -> None:
    assert counted_as(address) == counted
