"""The settings themselves: one table of names, parsers, defaults and help."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from config import parsers
from config.parsers import Parser
from config.policies import PolicySettings
from config.secret_files import TextSecret, UrlSecret

ENV_PREFIX = "LOYALNEST_"
DEVELOPMENT, PRODUCTION = "development", "production"
KEY_FILE = "signing-key.pem"
DATA_KEY_FILE = "personal-data.keys"
LINK_FILE = "links.key"
_SPEC = "loyalnest.setting"


MAIL_SENDER = r"[^\s<>@,;\"]+@[^\s<>@,;\"]+|[\w &.'-]{1,80} <[^\s<>@,;\"]+@[^\s<>@,;\"]+>"

WITH_PASSWORDS = frozenset({"database_url", "redis_url", "smtp_url", "otlp_endpoint"})
"""URLs, which may have a password in them."""


class SourceKind(Enum):
    """Where values come from, the strongest first."""

    FLAG = "flag"
    ENV = "env"
    DOTENV = ".env"
    FILE = "file"
    SECRET = "secret file"  # noqa: S105 - no password, but where one is
    DEFAULT = "default"


@attrs.frozen
class Source:
    """Where a value came from. `detail` is the flag, the variable or the file."""

    kind: SourceKind
    detail: str = ""

    def __str__(self) -> str:
        match self.kind:
            case SourceKind.FLAG | SourceKind.DEFAULT:
                return self.detail or self.kind.value
            case SourceKind.ENV:
                return f"env {self.detail}"
            case SourceKind.DOTENV:
                return f".env {self.detail}"
            case SourceKind.FILE | SourceKind.SECRET:
                return f"{self.kind.value}:{self.detail}"


@attrs.frozen
class SettingSpec:
    """One line of the table. `default` is text, in which `{name}` is an earlier setting."""

    name: str
    parse: Parser
    default: str
    help: str

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def _row(parse: Parser, default: str, help_: str) -> dict[str, Any]:
    return {_SPEC: (parse, default, help_)}


RATE = parsers.whole_number(0, 1_000_000_000)


@attrs.frozen(kw_only=True)
class Settings:
    """The values in force. `sources` says for each where it came from.

    `database_url` and `redis_url` hold what their secret files said when they were read;
    `secrets` reads them again.
    """

    environment: str = attrs.field(
        metadata=_row(
            parsers.choice(DEVELOPMENT, PRODUCTION),
            DEVELOPMENT,
            "development, or production: refuses what is unsafe there",
        )
    )
    http_bind: str = attrs.field(
        metadata=_row(parsers.bind_address, "127.0.0.1:8080", "address the HTTP server listens on")
    )
    data_dir: Path = attrs.field(
        metadata=_row(
            parsers.directory, "./data", "directory for the database, the keys and checkpoints"
        )
    )
    database_url: str = attrs.field(
        metadata=_row(
            parsers.database_url,
            "sqlite:///{data_dir}/loyalnest.db",
            "where the data is kept: sqlite or postgresql",
        ),
        repr=parsers.masked_url,
    )
    database_url_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file that holds database_url, watched")
    )
    database_password_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file that holds the database's password, watched")
    )
    database_connections_max: int = attrs.field(
        metadata=_row(
            parsers.whole_number(4, 1_000), "12", "most connections to a PostgreSQL server"
        )
    )
    redis_url: str | None = attrs.field(
        metadata=_row(
            parsers.redis_url, "", "Redis of the shared cache and limits; empty: in the process"
        ),
        repr=parsers.masked_url,
    )
    redis_url_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file that holds redis_url, watched")
    )
    redis_password_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file that holds Redis's password, watched")
    )
    signing_key_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file with the key that signs tokens, watched")
    )
    personal_data_key_file: Path | None = attrs.field(
        metadata=_row(
            parsers.optional_file, "", "file with the keys of personal data and secrets, watched"
        )
    )
    link_key_file: Path | None = attrs.field(
        metadata=_row(
            parsers.optional_file,
            "",
            "file with the key, or two, that shards know each other by; watched",
        )
    )
    link_tls_certificate_file: Path | None = attrs.field(
        metadata=_row(
            parsers.optional_file, "", "certificate that a shard shows the others; empty: no TLS"
        )
    )
    link_tls_key_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file with the key of that certificate")
    )
    link_tls_authority_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "certificates that sign those of the other shards")
    )
    public_url: str | None = attrs.field(
        metadata=_row(
            parsers.http_url, "", "where others reach this server: in links, and for callbacks"
        )
    )
    smtp_url: str | None = attrs.field(
        metadata=_row(parsers.smtp_url, "", "server that mail is sent by; empty: none is sent"),
        repr=parsers.masked_url,
    )
    smtp_url_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file that holds smtp_url, watched")
    )
    smtp_password_file: Path | None = attrs.field(
        metadata=_row(parsers.optional_file, "", "file that holds the mail server's password")
    )
    mail_sender: str = attrs.field(
        metadata=_row(
            parsers.matching(MAIL_SENDER, "name@host, or Name <name@host>"),
            "LoyalNest <noreply@localhost>",
            "who mail comes from; the name is the shop's",
        )
    )
    webhook_networks_allowed: str = attrs.field(
        metadata=_row(parsers.networks, "", "networks beside the internet that webhooks may reach")
    )
    sms_url: str | None = attrs.field(
        metadata=_row(
            parsers.http_url, "https://api.twilio.com", "provider of texts that speaks Twilio's API"
        )
    )
    sms_account: str = attrs.field(
        metadata=_row(
            parsers.matching(r"[A-Za-z0-9]{0,64}", "letters and digits"),
            "",
            "account at the provider of texts; empty: no texts are sent",
        )
    )
    sms_sender: str = attrs.field(
        metadata=_row(
            parsers.matching(r"[+A-Za-z0-9 ]{0,34}", "a number, a name or the id of a service"),
            "",
            "number, name or messaging service that texts come from",
        )
    )
    sms_token_file: Path | None = attrs.field(
        metadata=_row(
            parsers.optional_file, "", "file with the account's token, or two of them, watched"
        )
    )
    log_level: str = attrs.field(
        metadata=_row(
            parsers.choice("debug", "info", "warning", "error"),
            "info",
            "least level that is logged",
        )
    )
    log_format: str = attrs.field(
        metadata=_row(
            parsers.choice("auto", "json", "console"),
            "auto",
            "json lines, or text for people; auto: text on a terminal",
        )
    )
    http_connections_max: int = attrs.field(
        metadata=_row(parsers.whole_number(1, 100_000), "1000", "HTTP connections open at a time")
    )
    http_connections_per_address_max: int = attrs.field(
        metadata=_row(
            parsers.whole_number(1, 100_000), "500", "HTTP connections open from one address"
        )
    )
    http_shedding: str = attrs.field(
        metadata=_row(
            parsers.choice("automatic", "disabled"),
            "automatic",
            "whether requests are refused when there are more than can be answered in time",
        )
    )
    http_concurrency_min: int = attrs.field(
        metadata=_row(
            parsers.whole_number(1, 100_000), "48", "requests at a time that are always admitted"
        )
    )
    http_concurrency_max: int = attrs.field(
        metadata=_row(
            parsers.whole_number(1, 100_000), "1000", "requests at a time, however fast they are"
        )
    )
    http_head_timeout_s: float = attrs.field(
        metadata=_row(parsers.seconds(0.1, 300), "10", "how long a request head may take to arrive")
    )
    http_body_timeout_s: float = attrs.field(
        metadata=_row(parsers.seconds(0.1, 300), "10", "how long a request body may take to arrive")
    )
    http_send_timeout_s: float = attrs.field(
        metadata=_row(
            parsers.seconds(0.1, 300), "10", "how long a client may take for 64 KiB of an answer"
        )
    )
    http_drain_s: float = attrs.field(
        metadata=_row(
            parsers.seconds(0, 300), "15", "how long a stop waits for requests in progress"
        )
    )
    shutdown_delay_s: float = attrs.field(
        metadata=_row(
            parsers.seconds(0, 300),
            "5",
            "how long requests are accepted after SIGTERM, while /health/ready is 503 already",
        )
    )
    shutdown_max_s: float = attrs.field(
        metadata=_row(
            parsers.seconds(1, 3_600), "25", "after this a stop that hangs is ended by force"
        )
    )
    probe_bind: str = attrs.field(
        metadata=_row(
            parsers.optional_bind_address,
            "",
            "address of a second port for probes, answered even while the program stands still",
        )
    )
    request_timeout_s: float = attrs.field(
        metadata=_row(parsers.seconds(0.1, 300), "3", "longest a request may take")
    )
    body_max_bytes: int = attrs.field(
        metadata=_row(
            parsers.whole_number(1_024, 100 * 1024 * 1024), "262144", "largest body of a request"
        )
    )
    batch_body_max_bytes: int = attrs.field(
        metadata=_row(
            parsers.whole_number(1_024, 100 * 1024 * 1024),
            "1048576",
            "largest body of a request with many orders or mutations",
        )
    )
    otlp_endpoint: str | None = attrs.field(
        metadata=_row(
            parsers.http_url, "", "OTLP/HTTP collector that traces are sent to; empty: none"
        ),
        repr=parsers.masked_url,
    )
    trace_sampling: float = attrs.field(
        metadata=_row(
            parsers.share(), "1", "share of the traces that begin here which is recorded, 0 to 1"
        )
    )
    trusted_proxies: str = attrs.field(
        metadata=_row(parsers.networks, "", "proxies whose X-Forwarded-For is believed")
    )
    cors_origins: str = attrs.field(
        metadata=_row(parsers.origins, "", "web pages of these origins may use the API")
    )
    hsts_max_age_s: int = attrs.field(
        metadata=_row(
            parsers.whole_number(0, 10 * 365 * 86_400),
            "0",
            "how long browsers are told to come by TLS only; 0: not told",
        )
    )
    rate_limit_merchant_per_minute: int = attrs.field(
        metadata=_row(RATE, "60000", "requests of one merchant; 0: no limit")
    )
    rate_limit_customer_per_minute: int = attrs.field(
        metadata=_row(RATE, "1200", "requests of one customer; 0: no limit")
    )
    rate_limit_address_per_minute: int = attrs.field(
        metadata=_row(RATE, "6000", "requests without a valid token from one address; 0: no limit")
    )
    rate_limit_routes: str = attrs.field(
        metadata=_row(parsers.route_limits, "", "limits per minute of single routes")
    )
    event_retention_days: int = attrs.field(
        metadata=_row(
            parsers.whole_number(7, 3_650),
            "90",
            "how long tracked events are kept, and recognised when they come again",
        )
    )
    event_spill_max_bytes: int = attrs.field(
        metadata=_row(
            parsers.whole_number(1024 * 1024, 1024**4),
            "1073741824",
            "disk for tracked events that wait for the database; what is beyond is dropped",
        )
    )
    chaos_allowed: bool = attrs.field(
        metadata=_row(
            parsers.yes_or_no,
            "no",
            "whether faults may be made on purpose; never in production",
        )
    )
    policies: Mapping[str, PolicySettings] = attrs.field(factory=dict)
    sources: Mapping[str, Source] = attrs.field(factory=dict, eq=False)
    secrets: Mapping[str, UrlSecret | TextSecret] = attrs.field(factory=dict, eq=False, repr=False)

    @property
    def production(self) -> bool:
        return self.environment == PRODUCTION

    @property
    def signing_key(self) -> Path:
        """Where the key is that signs tokens."""
        return self.signing_key_file or self.data_dir / KEY_FILE

    @property
    def personal_data_keys(self) -> Path:
        """Where the keys are that seal personal data."""
        return self.personal_data_key_file or self.data_dir / DATA_KEY_FILE

    @property
    def link_key(self) -> Path:
        """Where the secret is that shards prove themselves with."""
        return self.link_key_file or self.data_dir / LINK_FILE

    def shown(self, name: str) -> str:
        """A value as it may be printed: no secret in it."""
        value = getattr(self, name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        return parsers.masked_url(value) if name in WITH_PASSWORDS else str(value)


def specs() -> tuple[SettingSpec, ...]:
    """The table, in its order."""
    return tuple(
        SettingSpec(field.name, *field.metadata[_SPEC])
        for field in attrs.fields(Settings)
        if _SPEC in field.metadata
    )
