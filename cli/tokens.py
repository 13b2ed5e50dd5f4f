"""`loyalnest token`: an access token for development and for scripts."""

import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from actors.auth.keys import KeyStore, load_signing_key
from actors.auth.messages import MAX_TTL_S, Role
from actors.auth.tokens import issue_token
from actors.core.model import check_id
from cli.data_directory import prepare_data_dir
from cli.errors import EXIT_USAGE, CommandFailed
from cli.key_store import key_store
from cli.options import settings_options
from config import Settings

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
SUBJECT = "cli"


class Duration(click.ParamType[int]):
    """`90s`, `15m`, `1h`, `1d`, or plain seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration such as 90s, 15m, 1h or 1d", param, ctx)
        return int(match[1]) * UNITS_S[match[2] or "s"]


@click.command("token", short_help="Make an access token.")
@click.option("--merchant", metavar="ID", help="the merchant (not for the role platform)")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.OWNER.value,
    show_default=True,
)
@click.option("--customer", metavar="ID", help="the customer, for the role customer")
@click.option("--ttl", type=Duration(), default="1h", show_default=True, help="up to 24h")
@settings_options("environment", "data_dir", "signing_key_file")
def token(
    settings: Settings, merchant: str | None, role: str, customer: str | None, ttl: int
) -> None:
    """Print an access token signed with the key in the data directory."""
    prepare_data_dir(settings)
    had_key = settings.signing_key.exists()
    print(new_token(key_store(settings), Role(role), merchant, customer, ttl))
    if not had_key:
        print(f"loyalnest: made a new signing key in {settings.data_dir}", file=sys.stderr)


def new_token(
    keys: Path | KeyStore,
    role: Role,
    merchant_id: str | None,
    customer_id: str | None = None,
    ttl_s: int = MAX_TTL_S,
    *,
    subject: str = SUBJECT,
) -> str:
    """A fresh token. Raises `CommandFailed` when the arguments do not fit together."""
    for what, value in (("--merchant", merchant_id), ("--customer", customer_id)):
        refusal = check_id(what, value) if value is not None else None
        if refusal is not None:
            raise CommandFailed(refusal.detail, EXIT_USAGE)
    key = load_signing_key(keys)
    try:
        return issue_token(
            key,
            subject=subject,
            role=role,
            merchant_id=merchant_id,
            customer_id=customer_id,
            token_id=f"tok_{secrets.token_hex(16)}",
            now=datetime.now(UTC),
            ttl_s=ttl_s,
        )
    except ValueError as error:
        raise CommandFailed(str(error), EXIT_USAGE) from error
