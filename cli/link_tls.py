"""TLS of the links between shards: both sides show a certificate, and check that of the other."""

import ssl
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import attrs

from cli.errors import CommandFailed
from config import Settings
from config.plans import Plan
from runtime.links import WebSocketNetwork
from runtime.links.websocket import host_and_port

NAMES: Final = ("link_tls_certificate_file", "link_tls_key_file", "link_tls_authority_file")


@attrs.frozen
class TlsFiles:
    """In PEM: the chain of this shard's certificate, its key, and who signs those of the others."""

    certificate: Path
    key: Path
    authority: Path

    def context(self, *, server: bool) -> ssl.SSLContext:
        """Of what is in the files now. Raises `OSError` and `ValueError`, with the file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(self.certificate, self.key, password="")  # and never ask for it
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.certificate} and {self.key}: {_reason(error)}") from error
        try:
            context.load_verify_locations(self.authority)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.authority}: {_reason(error)}") from error
        return context


def link_network(settings: Settings) -> WebSocketNetwork:
    """The network of the links, encrypted where there are certificates. They are read again for
    each connection. Raises `CommandFailed` where they cannot be used."""
    files = _files(settings)
    if files is None:
        return WebSocketNetwork()
    server, client = (partial(files.context, server=server) for server in (True, False))
    for context in (server, client):
        try:
            context()
        except ValueError as error:
            raise CommandFailed(f"TLS of links: {error}") from error
    return WebSocketNetwork(server_tls=server, client_tls=client)


def readable_links(plan: Plan) -> tuple[str, ...]:
    """The shards whose links leave this machine, where others may read them without TLS."""
    shards = plan.shards.values() if len(plan.shards) > 1 else ()
    return tuple(shard.name for shard in shards if shard.link and not _stays_here(shard.link))


def _stays_here(address: str) -> bool:
    host, _ = host_and_port(address)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _files(settings: Settings) -> TlsFiles | None:
    given: dict[str, Path | None] = {name: getattr(settings, name) for name in NAMES}
    there = [path for path in given.values() if path is not None]
    if not there:
        return None
    if len(there) < len(NAMES):
        missing = next(name for name, path in given.items() if path is None)
        raise CommandFailed(f"{missing}: not set; TLS of links needs {', '.join(NAMES)}")
    return TlsFiles(*there)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable ({error.reason or error})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
