"""`loyalnest verify`: recompute the ledger of a merchant, and say whether it is right."""

from typing import Any

import click

from actors.auth.messages import Role
from actors.core.messages import MERCHANTS, GetMerchant
from actors.core.model import check_id
from actors.points.messages import QUERIES, Verify
from cli.errors import EXIT_FAILED, EXIT_USAGE, CommandFailed
from cli.http_client import HttpClient, Unreachable
from cli.key_store import key_store
from cli.options import STORAGE, settings_options
from cli.reaching import with_tree_or_server
from cli.running import Run, run_command
from cli.tokens import new_token
from config import Settings
from runtime import ActorSystem

VERIFY_TIMEOUT_S = 600.0
COUNTS = ("accounts", "transactions", "postings", "points_outstanding")


@click.command("verify", short_help="Recompute a merchant's points from their entries.")
@click.option("--merchant", required=True, metavar="ID")
@settings_options(*STORAGE, key_needed=False)
def verify(settings: Settings, merchant: str) -> None:
    """Recompute every balance, lot and hash chain of a merchant from its entries.

    The exit code is 1 when anything does not fit.
    """
    refusal = check_id("--merchant", merchant)
    if refusal is not None:
        raise CommandFailed(refusal.detail, EXIT_USAGE)

    async def body(run: Run) -> None:
        async def local(system: ActorSystem) -> dict[str, Any]:
            return await _verify_here(system, merchant)

        async def remote(address: str) -> dict[str, Any]:
            return await _verify_there(address, run, merchant)

        result = await with_tree_or_server(run, local, remote)
        _print(merchant, result)
        if not result["clean"]:
            raise SystemExit(EXIT_FAILED)

    run_command(settings, body)


async def _verify_here(system: ActorSystem, merchant_id: str) -> dict[str, Any]:
    if await system.ref(MERCHANTS).ask(GetMerchant(merchant_id)) is None:
        raise CommandFailed(f"there is no merchant {merchant_id}")
    result = await system.ref(QUERIES).ask(Verify(merchant_id), timeout_s=VERIFY_TIMEOUT_S)
    counts: dict[str, Any] = {name: getattr(result, name) for name in COUNTS}
    mismatches = [
        {"customer_id": m.customer_id, "check": m.check, "detail": m.detail}
        for m in result.mismatches
    ]
    return counts | {"clean": result.clean, "mismatches": mismatches}


async def _verify_there(address: str, run: Run, merchant_id: str) -> dict[str, Any]:
    token = new_token(key_store(run.settings), Role.OWNER, merchant_id)
    try:
        answer = await HttpClient(address).get("/v1/points/verify", token, VERIFY_TIMEOUT_S)
    except Unreachable as error:
        raise CommandFailed(f"{address}: {error}") from error
    if answer.status != 200 or not isinstance(answer.body, dict):
        raise CommandFailed(f"server at {address}: {answer.problem}")
    return answer.body


def _print(merchant_id: str, result: dict[str, Any]) -> None:
    print(f"{'merchant':<19}{merchant_id}")
    for name in COUNTS:
        print(f"{name.replace('_', ' '):<19}{result[name]:,}")
    for mismatch in result["mismatches"]:
        print("MISMATCH customer {customer_id}: {check}: {detail}".format_map(mismatch))
    print("clean" if result["clean"] else "NOT CLEAN")
