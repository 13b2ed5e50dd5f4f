"""Whom encrypted links let in, with real sockets and certificates, and what operators are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from cli.errors import CommandFailed
from cli.link_tls import TlsFiles, link_network, readable_links
from config import Settings, load_settings
from config.plans import load_plan
from runtime.links import LinkTransport, TransportClosed, WebSocketNetwork
from tests.certificates import Authority

PATIENCE_S = 60.0
BYTES_MAX = 1000
PLAN = Path(__file__).parents[3] / "config/plans/three.toml"


def settings_with(**values: object) -> Settings:
    flags = {name: str(value) for name, value in values.items()}
    return load_settings(flags, {})


def network_of(files: TlsFiles) -> WebSocketNetwork:
    """As the program makes it."""
    return link_network(
        settings_with(
            link_tls_certificate_file=files.certificate,
            link_tls_key_file=files.key,
            link_tls_authority_file=files.authority,
        )
    )


@asynccontextmanager
async def listening(network: WebSocketNetwork) -> AsyncIterator[str]:
    """Whoever gets in is told so."""

    async def greet(transport: LinkTransport) -> None:
        await transport.send(b"welcome")
        await trio.sleep_forever()

    async def listen(task_status: Any) -> None:
        await network.listen(
            "127.0.0.1:0",
            greet,
            message_bytes_max=BYTES_MAX,
            connections_max=5,
            task_status=task_status,
        )

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            yield await nursery.start(listen)
            nursery.cancel_scope.cancel()


async def welcomed(network: WebSocketNetwork, address: str) -> bool:
    try:
        async with network.connect(address, message_bytes_max=BYTES_MAX) as transport:
            return await transport.receive() == b"welcome"
    except TransportClosed:
        return False


async def test_certificates_of_one_authority_let_each_other_in(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with listening(network_of(authority.issue("points"))) as address:
        assert await welcomed(network_of(authority.issue("edge")), address)


async def test_certificates_can_be_named_one_by_one(tmp_path: Path) -> None:
    """What is in the file counts, whether or not it signs itself."""
    authority = Authority(tmp_path)
    points, edge = authority.issue("points"), authority.issue("edge")
    points = attrs.evolve(points, authority=edge.certificate)
    known = network_of(attrs.evolve(edge, authority=points.certificate))
    async with listening(network_of(points)) as address:
        assert await welcomed(known, address)
        assert not await welcomed(network_of(authority.issue("other")), address)


async def test_what_can_be_no_host_is_not_there() -> None:
    for address in ("x..y:7402", f"{'a' * 70}.b:7402"):
        with pytest.raises(TransportClosed):
            async with WebSocketNetwork().connect(address, message_bytes_max=BYTES_MAX):
                pass


@pytest.mark.parametrize("stranger", ["without", "plain", "of another authority"])
async def test_a_stranger_is_not_let_in_and_others_still_are(tmp_path: Path, stranger: str) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("edge")
    known = network_of(files)
    other = Authority(tmp_path, "other").issue("stranger")
    context = files.context(server=False)
    match stranger:
        case "without":
            fresh = type(context)(context.protocol)
            fresh.load_verify_locations(authority.file)
            network = attrs.evolve(known, client_tls=lambda: fresh)
        case "plain":
            network = WebSocketNetwork()
        case _:
            network = network_of(attrs.evolve(other, authority=authority.file))
    async with listening(network_of(authority.issue("points"))) as address:
        with capture_logs() as logs:
            assert not await welcomed(network, address)
            assert not await welcomed(network, address)
            assert await welcomed(known, address)
        warned = [line["event"] for line in logs if line["log_level"] == "warning"]
        assert warned == ["link_tls_refused"]


async def test_who_only_says_that_it_is_the_other_shard_is_not_talked_to(tmp_path: Path) -> None:
    """Its certificate is for another address, or signed by somebody else."""
    authority = Authority(tmp_path)
    network = network_of(authority.issue("edge"))
    elsewhere = authority.issue("elsewhere", "127.0.0.9")
    for files in (elsewhere, Authority(tmp_path, "other").issue("impostor")):
        trusting = network_of(attrs.evolve(files, authority=authority.file))
        async with listening(trusting) as address:
            with pytest.raises(TransportClosed, match=r"TLS: .*(not valid for|verify failed)"):
                async with network.connect(address, message_bytes_max=BYTES_MAX):
                    pass


async def test_certificates_can_be_replaced_while_the_program_runs(tmp_path: Path) -> None:
    first, second = (Authority(tmp_path, name) for name in ("first", "second"))
    points = first.issue("points")
    old = network_of(first.issue("edge"))
    new = network_of(second.issue("edge2"))
    async with listening(network_of(points)) as address:
        assert await welcomed(old, address)
        assert not await welcomed(new, address)
        replaced = second.issue("points")
        assert replaced.certificate == points.certificate
        points.authority.write_bytes(second.file.read_bytes())
        assert await welcomed(new, address)
        points.certificate.write_text("half of a cert")
        with capture_logs() as logs:
            assert await welcomed(new, address)
        assert [line["event"] for line in logs] == ["link_certificates_unusable"]
        second.issue("points")
        assert await welcomed(new, address)


def test_what_is_missing_or_not_usable_is_one_line(tmp_path: Path) -> None:
    files = Authority(tmp_path).issue("edge")
    assert link_network(settings_with()) == WebSocketNetwork()
    with pytest.raises(CommandFailed, match=r"^link_tls_key_file: not set; TLS of links needs"):
        link_network(settings_with(link_tls_certificate_file=files.certificate))
    other = Authority(tmp_path, "other").issue("other")
    for wrong, said in (
        (attrs.evolve(files, key=tmp_path / "nowhere"), "No such file"),
        (attrs.evolve(files, key=other.key), "KEY_VALUES_MISMATCH"),
        (attrs.evolve(files, authority=files.key), "not usable"),
    ):
        with pytest.raises(CommandFailed, match=f"^TLS of links: .*{said}") as failed:
            network_of(wrong)
        assert "\n" not in str(failed.value)


def test_links_that_leave_the_machine_are_named() -> None:
    text = PLAN.read_text()
    assert readable_links(load_plan(PLAN, text)) == ()
    text = text.replace("127.0.0.1:7402", "money.internal:7402")
    text = text.replace("127.0.0.1:7403", "10.0.0.3:7403")
    assert readable_links(load_plan(PLAN, text)) == ("money", "engagement")
