"""Parsers of settings: text to value, or `ValueError` that says what is allowed."""

import math
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit, urlunsplit

MAX_PORT = 65_535
MEMORY_URL = "sqlite:///:memory:"
SQLITE_PREFIX = "sqlite:///"
POSTGRESQL_FORM = "postgresql://user:password@host:port/database"

SECRET_PARAMETER = re.compile(r"([?&](?:password|sslpassword|passfile)=)[^&#]*", re.IGNORECASE)
PASSWORD_WITHOUT_HOST = re.compile(
    r"^([a-z0-9+.-]+:(?://)?[^:/?#\[]*):(?![0-9]{1,5}(?:[/?#]|$)).*", re.IGNORECASE | re.DOTALL
)
"""`scheme://user:password`, where a port, if anything, was expected."""
ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")

Parser = Callable[[str], object]


def bind_address(text: str) -> str:
    """`host:port` or `[ipv6]:port`; port 0 takes a free one."""
    host, colon, port = text.rpartition(":")
    bare_v6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    plain = colon and host and not bare_v6 and not re.search(r"[\s/]", host)
    if not plain or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > MAX_PORT:
        raise ValueError(f"host:port or [ipv6]:port, with a port from 0 to {MAX_PORT}")
    return text


def optional_bind_address(text: str) -> str:
    """As `bind_address`; empty for none."""
    return bind_address(text) if text else text


def directory(text: str) -> Path:
    """A path, relative to the working directory."""
    if not text or "\0" in text or not _is_unicode(text):
        raise ValueError("the path of a directory, in UTF-8")
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError("a directory; there is a file of that name")
    return path


def _is_unicode(text: str) -> bool:
    """Whether the operating system's bytes were text: others arrive as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def database_url(text: str) -> str:
    """The URL of an SQLite file, made absolute, of a database in memory, or of PostgreSQL."""
    if text.partition(":")[0].lower() in {"postgresql", "postgres"}:
        return _postgresql_url(text)
    path = text.removeprefix(SQLITE_PREFIX)
    if path == text or not path or re.search(r"[?#\0]", path) or not _is_unicode(text):
        raise ValueError(
            f"sqlite:///FILE (a path without ? or #), {MEMORY_URL}, or {POSTGRESQL_FORM}"
        )
    if text == MEMORY_URL:
        return text
    return f"{SQLITE_PREFIX}{quote(str(Path(unquote(path)).absolute()))}"


def _postgresql_url(text: str) -> str:
    parts = split_url(text, POSTGRESQL_FORM)
    at_socket = "host" in parse_qs(parts.query)
    if not re.fullmatch(r"/[^/\0]+", parts.path) or not (parts.hostname or at_socket):
        raise ValueError(POSTGRESQL_FORM)
    return text


def redis_url(text: str) -> str | None:
    """A Redis URL; empty for none."""
    if not text:
        return None
    allowed = "redis://[[user]:password@]host[:port][/db], rediss://… or unix://[…@]/path"
    parts = split_url(text, allowed)
    if parts.scheme == "unix":
        known = not parts.hostname and len(parts.path) > len("/")
    else:
        known = parts.scheme in {"redis", "rediss"} and bool(parts.hostname)
        known = known and re.fullmatch(r"(/[0-9]{0,3})?", parts.path) is not None
    if not known or parts.query or parts.fragment:
        raise ValueError(allowed)
    return text


def http_url(text: str) -> str | None:
    """An HTTP URL; empty for none."""
    if not text:
        return None
    allowed = "http://host[:port][/path] or https://…"
    parts = split_url(text, allowed)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise ValueError(allowed)
    return text


def split_url(text: str, allowed: str) -> SplitResult:
    """The parts of a URL, its port checked."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(allowed) from error
    return parts


def masked_url(text: str | None) -> str:
    """A URL as it may be shown: without its passwords, even where it is none that we know."""
    if text is None:
        return ""
    if text.startswith(SQLITE_PREFIX):
        return text
    text = SECRET_PARAMETER.sub(r"\1***", text)
    before, at, host = text.rpartition("@")
    if not at:
        return PASSWORD_WITHOUT_HOST.sub(r"\1:***", text)
    scheme, slashes, userinfo = before.rpartition("//")
    user, colon, _ = userinfo.partition(":")
    return f"{scheme}{slashes}{user}{':***' if colon else ''}@{host}"


def password_in(url: str) -> str | None:
    """The password that a URL holds, if it holds one."""
    parts = split_url(url, "a URL")
    named = parse_qs(parts.query).get("password", [None])[-1]
    password = parts.password if parts.password is not None else named
    return unquote(password) if password else None


def with_password(url: str, password: str) -> str:
    """A URL with this password in the place of any other."""
    parts = split_url(url, "a URL")
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:{quote(password, '')}@{host}"
    return urlunsplit(parts._replace(netloc=netloc))


def optional_file(text: str) -> Path | None:
    """The path of a file, relative to the working directory; empty for none."""
    if not text:
        return None
    if "\0" in text or not _is_unicode(text):
        raise ValueError("the path of a file, in UTF-8")
    return Path(text).expanduser().absolute()


def choice(*allowed: str) -> Callable[[str], str]:
    """One of a few words, in any case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return word

    return parse


def smtp_url(text: str) -> str | None:
    """The URL of a mail server; empty for none."""
    if not text:
        return None
    allowed = "smtp://[user:password@]host[:port][?plain=yes] or smtps://…"
    parts = split_url(text, allowed)
    known = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.path in {"", "/"}
    if not known or parts.query not in {"", "plain=yes"} or parts.fragment:
        raise ValueError(allowed)
    return text


def matching(pattern: str, allowed: str) -> Callable[[str], str]:
    """A text of this form, as a whole."""

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(allowed)
        return text

    return parse


def yes_or_no(text: str) -> bool:
    """A switch."""
    return choice("yes", "no")(text) == "yes"


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A whole number within bounds, both included."""

    def parse(text: str) -> int:
        digits = text.strip().replace("_", "")
        if re.fullmatch(r"[0-9]{1,15}", digits) and least <= int(digits) <= most:
            return int(digits)
        raise ValueError(f"a whole number from {least} to {most}")

    return parse


def share() -> Callable[[str], float]:
    """A part of the whole, from 0 to 1."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if 0 <= value <= 1:
            return value
        raise ValueError("a number from 0 to 1")

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A number of seconds within bounds, both included."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if least <= value <= most:
            return value
        raise ValueError(f"a number of seconds from {least:g} to {most:g}")

    return parse


def listed(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part for part in (part.strip() for part in text.split(",")) if part)


def networks(text: str) -> str:
    """Addresses and networks between commas."""
    try:
        return ", ".join(str(ip_network(part)) for part in listed(text))
    except ValueError as error:
        allowed = "addresses or networks like 10.0.0.0/8 or fd00::/8, between commas"
        raise ValueError(f"{allowed} ({error})") from error


def origins(text: str) -> str:
    """Origins of web pages between commas, as browsers send them."""
    for origin in listed(text):
        if not ORIGIN.fullmatch(origin):
            raise ValueError(
                "origins like https://shop.example or http://localhost:3000, in lower case,"
                " between commas"
            )
    return ", ".join(listed(text))


def route_limits(text: str) -> str:
    """`METHOD /path=calls per minute` between commas; 0 for no limit."""
    for part in listed(text):
        if not re.fullmatch(r"[A-Z]+ /[^=\s]*=[0-9]{1,9}", part):
            raise ValueError("limits like POST /v1/points/earn=600, between commas; 0 for none")
    if len(set(route_limits_of(text))) < len(listed(text)):
        raise ValueError("each route once")
    return ", ".join(listed(text))


def route_limits_of(text: str) -> dict[str, int]:
    """The calls per minute of each route in a text that `route_limits` has passed."""
    pairs = (part.rpartition("=") for part in listed(text))
    return {name: int(count) for name, _, count in pairs}
