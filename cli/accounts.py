"""`loyalnest account`: making accounts from the command line, the first one above all."""

import getpass
import sys
from pathlib import Path
from typing import Any, Final

import click

from actors.admin_core.messages import AuditRecord, audit_event
from actors.auth.messages import ACCOUNTS, Account, CreateAccount, Role
from actors.core.messages import MERCHANTS, GetMerchant
from actors.core.model import check_id
from actors.vocabulary import Refusal
from cli.errors import EXIT_USAGE, CommandFailed
from cli.http_client import HttpClient, Unreachable
from cli.key_store import key_store
from cli.options import STORAGE, settings_options
from cli.reaching import with_tree_or_server
from cli.running import Run, run_command
from cli.tokens import new_token
from config import Settings
from config.secret_files import exposure
from runtime import ActorSystem

PATH: Final = "/v1/admin/accounts"
PASSWORD_BYTES_MAX: Final = 4_096
PEOPLE: Final = [role.value for role in Role if role is not Role.MACHINE]
TIMEOUT_S: Final = 10.0


@click.group("account", short_help="Create accounts that can log in.")
def account() -> None:
    """Accounts that can log in: of the platform's staff, of merchants, and of customers."""


@account.command("create", short_help="Create an account.")
@click.option("--email", required=True, metavar="ADDRESS", help="what it logs in with")
@click.option("--role", type=click.Choice(PEOPLE), default=Role.PLATFORM.value, show_default=True)
@click.option("--merchant", metavar="ID", help="the merchant (not for the role platform)")
@click.option("--customer", metavar="ID", help="the customer, for the role customer")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="file that holds the password; otherwise it is asked for",
)
@click.option("--password-stdin", is_flag=True, help="read the password from standard input")
@settings_options(*STORAGE, "signing_key_file")
def create(
    settings: Settings,
    email: str,
    role: str,
    merchant: str | None,
    customer: str | None,
    password_file: Path | None,
    *,
    password_stdin: bool,
) -> None:
    """Create an account, on the data here or at the server that has it.

    The password comes from the terminal, a file or standard input, and never from an argument.
    """
    for what, value in (("--merchant", merchant), ("--customer", customer)):
        refusal = check_id(what, value) if value is not None else None
        if refusal is not None:
            raise CommandFailed(refusal.detail, EXIT_USAGE)
    password = read_password(password_file, from_stdin=password_stdin)
    wanted: dict[str, Any] = {
        "email": email,
        "password": password,
        "role": role,
        "merchant_id": merchant,
        "customer_id": customer,
    }

    async def body(run: Run) -> None:
        async def local(system: ActorSystem) -> str:
            return await _create_here(system, wanted)

        async def remote(address: str) -> str:
            return await _create_there(address, run, wanted)

        account_id = await with_tree_or_server(run, local, remote)
        print(f"{account_id}  {role} created")

    run_command(settings, body)


def read_password(file: Path | None, *, from_stdin: bool) -> str:
    """One line, from wherever it is to come. Raises `CommandFailed`, which does not quote it."""
    if file is not None and from_stdin:
        raise CommandFailed("--password-file or --password-stdin, not both", EXIT_USAGE)
    if file is not None:
        return _from_file(file)
    if from_stdin:
        return _one_line(sys.stdin.read(PASSWORD_BYTES_MAX), "standard input")
    if not sys.stdin.isatty():
        detail = "no terminal to ask for the password: use --password-file or --password-stdin"
        raise CommandFailed(detail, EXIT_USAGE)
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise CommandFailed("the two are not the same", EXIT_USAGE)
    return password


def _from_file(file: Path) -> str:
    try:
        problem = exposure(file)
        if problem is not None:
            raise CommandFailed(f"{file}: {problem}", EXIT_USAGE)
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{file}: cannot be read ({type(error).__name__})") from None
    return _one_line(text, str(file))


def _one_line(text: str, where: str) -> str:
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0]:
        raise CommandFailed(f"{where}: holds not one line with a password", EXIT_USAGE)
    return lines[0]


def _subject() -> str:
    return f"cli:{getpass.getuser()}"


async def _create_here(system: ActorSystem, wanted: dict[str, Any]) -> str:
    merchant_id = wanted["merchant_id"]
    if merchant_id is not None:
        known = await system.ref(MERCHANTS).ask(GetMerchant(merchant_id))
        if known is None:
            raise CommandFailed(f"there is no merchant {merchant_id}")
    account_id = system.ids.new("acc")
    record = AuditRecord(
        subject=_subject(),
        role=Role.PLATFORM.value,
        action="account.create",
        target=account_id,
        after={"role": wanted["role"], "customer_id": wanted["customer_id"]},
    )
    event = audit_event(
        record, event_id=system.ids.new("evt"), at=system.clock.now(), merchant_id=merchant_id
    )
    command = CreateAccount(
        account_id=account_id, publishes=(event,), **wanted | {"role": Role(wanted["role"])}
    )
    made: Account | Refusal = await system.ref(ACCOUNTS).ask(command, timeout_s=TIMEOUT_S)
    if isinstance(made, Refusal):
        raise CommandFailed(made.detail)
    return made.account_id


async def _create_there(address: str, run: Run, wanted: dict[str, Any]) -> str:
    token = new_token(key_store(run.settings), Role.PLATFORM, None, subject=_subject())
    given = {name: value for name, value in wanted.items() if value is not None}
    try:
        answer = await HttpClient(address).post(PATH, given, token)
    except Unreachable as error:
        raise CommandFailed(f"{address}: {error}") from error
    if answer.status != 201:
        raise CommandFailed(f"{address}: {answer.problem}")
    return str(answer.body["account_id"])
