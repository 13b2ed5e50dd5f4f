"""TLS of the links between shards: both sides show a certificate, and check that of the other."""

import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import attrs
import structlog

from cli.errors import CommandFailed
from config import Settings
from config.plans import Plan
from runtime.links import WebSocketNetwork
from runtime.links.websocket import host_and_port
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.shard")

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
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # not only roots are authorities
        try:
            context.load_cert_chain(self.certificate, self.key, password="")  # and never ask for it
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.certificate} and {self.key}: {_reason(error)}") from error
        try:
            context.load_verify_locations(self.authority)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.authority}: {_reason(error)}") from error
        return context


@attrs.define(eq=False)
class FileContext:
    """Of one side, as its files are now. What cannot be used later on changes nothing: it may be
    in the middle of being replaced."""

    files: TlsFiles
    server: bool
    _read: tuple[tuple[int, int], ...] = ()
    _context: ssl.SSLContext | None = None
    _trouble: Trouble = attrs.field(
        factory=lambda: Trouble(log, "link_certificates_unusable", "link_certificates_usable_again")
    )

    def __call__(self) -> ssl.SSLContext:
        """Raises `ValueError` where none was ever usable."""
        try:
            self._refresh()
            self._trouble.ended()
        except (OSError, ValueError) as error:
            if self._context is None:
                raise ValueError(str(error)) from error
            self._trouble.failed(error)
        assert self._context is not None  # noqa: S101 - or it was raised
        return self._context

    def _refresh(self) -> None:
        found = [path.stat() for path in attrs.astuple(self.files, recurse=False)]
        now = tuple((each.st_mtime_ns, each.st_size) for each in found)
        if now != self._read:
            self._context, self._read = self.files.context(server=self.server), now


def link_network(settings: Settings) -> WebSocketNetwork:
    """The network of the links, encrypted where there are certificates; new ones count from the
    next connection on. Raises `CommandFailed` where they cannot be used."""
    files = _files(settings)
    if files is None:
        return WebSocketNetwork()
    server, client = FileContext(files, server=True), FileContext(files, server=False)
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
