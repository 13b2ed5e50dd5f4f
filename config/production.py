"""What production refuses to start with, in one line each."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote

from config.errors import InsecureSettings
from config.parsers import password_in, split_url
from config.secret_files import UrlSecret, exposure
from config.settings import Settings

DEFAULT_PASSWORDS = frozenset(
    "postgres postgresql password passwd pass secret loyalnest loyalnest_app loyalnest_serve"
    " loyalnest_owner changeme change-me change_me changeit admin root redis default test demo"
    " example user guest letmein qwerty 123456 12345678 123456789 1234567890 ... ***".split()
)
"""What installations begin with. A password that is the user's name is one of them, too."""

SERVERS = {"database": "the database", "redis": "Redis"}


def check_production(settings: Settings, *, demo: bool = False, key_needed: bool = True) -> None:
    """Raise `InsecureSettings` with all that is unsafe; outside of production nothing is.

    `demo`: demo data is asked for. `key_needed`: the signing key has to be there already.
    Blocks on the disk.
    """
    if settings.production:
        problems = tuple(_problems(settings, demo, key_needed))
        if problems:
            raise InsecureSettings(problems)


def _problems(settings: Settings, demo: bool, key_needed: bool) -> Iterator[str]:
    for name in SERVERS:
        yield from _of_url(settings, name)
    yield from _of_mail(settings)
    files = [file for secret in settings.secrets.values() for file in secret.files]
    for file in files:
        yield from _of_file(file, required=True)
    for file in (settings.signing_key, settings.personal_data_keys):
        yield from _of_file(file, required=key_needed)
    yield from _of_file(settings.link_key, required=settings.link_key_file is not None)
    if settings.link_tls_key_file is not None:
        yield from _of_file(settings.link_tls_key_file, required=True)
    if settings.chaos_allowed:
        yield f"chaos_allowed (from {settings.sources['chaos_allowed']}): not in production"
    if demo:
        yield "--demo: no demo data in production"


def _of_url(settings: Settings, name: str) -> Iterator[str]:
    """A server that is reached over the network needs a password that is no default, in a file."""
    setting = f"{name}_url"
    url: str | None = getattr(settings, setting)
    if url is None or url.startswith("sqlite:"):
        return
    password, secret = password_in(url), settings.secrets[name]
    if not isinstance(secret, UrlSecret):
        raise TypeError(f"{name} is no server")
    if password is None:
        if not _needs_none(url):
            yield (
                f"{setting} (from {settings.sources[setting]}): {SERVERS[name]} has no password;"
                f" name a file with it as {name}_password_file"
            )
        return
    if password.casefold() in DEFAULT_PASSWORDS | {_user(url).casefold()}:
        yield f"{setting}: the password of {SERVERS[name]} is a default one; choose another"
    if not secret.files or (secret.url_file is None and password_in(secret.url or "") is not None):
        yield (
            f"{setting} (from {settings.sources[setting]}): a password is in it; it belongs in a"
            f" file, named as {name}_password_file"
        )


def _of_mail(settings: Settings) -> Iterator[str]:
    """A mail server may need no password; one that there is belongs in a file."""
    url, secret = settings.smtp_url, settings.secrets.get("smtp")
    if url is not None and password_in(url) is not None and secret is not None and not secret.files:
        yield (
            f"smtp_url (from {settings.sources['smtp_url']}): a password is in it; it belongs in a"
            " file, named as smtp_password_file"
        )


def _needs_none(url: str) -> bool:
    """A socket of this machine lets in by the user who calls; a certificate or a file of
    passwords takes the place of one."""
    parts = split_url(url, "a URL")
    query = parse_qs(parts.query)
    at_socket = parts.scheme == "unix" or query.get("host", [""])[-1].startswith("/")
    return at_socket or bool(query.keys() & {"passfile", "sslcert"})


def _user(url: str) -> str:
    return unquote(split_url(url, "a URL").username or "")


def _of_file(file: Path, *, required: bool) -> Iterator[str]:
    try:
        problem = exposure(file)
    except OSError as error:
        if required or not isinstance(error, FileNotFoundError):
            yield f"secret file {file}: {error.strerror or error}"
        return
    if problem is not None:
        yield f"secret file {file}: {problem}"
