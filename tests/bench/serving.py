"""`POST /v1/points/earn` against an empty route on the same listener."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio
from quart_trio import QuartTrio

from actors.auth.keys import load_signing_key
from actors.auth.messages import Role
from actors.auth.tokens import issue_token
from gateway.application import gateway_children
from gateway.listener import Listener, ListenerSettings
from gateway.messages import LISTENER, GetAddress
from gateway.rate_limits import RateLimitSettings
from gateway.settings import GatewaySettings
from runtime import ActorSystem, ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import DatabaseHandle
from tests.bench.client import CONNECTIONS
from tests.bench.harness import Figure, compare
from tests.bench.product import MERCHANT, Edge, Product, with_product

LISTENING = ListenerSettings(bind="127.0.0.1:0")
ROOT = Path(__file__).parents[2]
EARN = "/v1/points/earn"


def serving() -> list[Figure]:
    return [
        compare(
            f"POST {EARN}, {CONNECTIONS} connections, against an empty Quart-Trio route",
            partial(served, "earns", EARN),
            partial(served, "earns", "/empty", edge=_empty),
            unit="requests/s",
            goal=0.6,
        )
    ]


def served(
    mode: str,
    path: str,
    *,
    url: str | None = None,
    customers: int = CONNECTIONS,
    edge: Edge | None = None,
) -> float:
    """What the client says first of a product that serves in this process."""

    async def measure(product: Product) -> float:
        address = await product.system.ref(LISTENER).ask(GetAddress())
        token = owner_token(product.system, product.directory)
        return (await drive(mode, address.port, path, token))[0]

    return with_product(measure, customers=customers, url=url, edge=edge or gateway)


async def drive(mode: str, port: int, path: str, token: str) -> list[float]:
    """The figures of a client in a process of its own."""
    done = await trio.run_process(
        client_command(mode, port, path, token),
        capture_stdout=True,
        cwd=ROOT,
    )
    return [float(figure) for figure in done.stdout.split()]


def client_command(mode: str, port: int, path: str, token: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.client", mode, str(port), path, token]


def owner_token(system: ActorSystem, directory: Path) -> str:
    return issue_token(
        load_signing_key(directory),
        subject="bench",
        role=Role.OWNER,
        merchant_id=MERCHANT,
        customer_id=None,
        token_id="bench",
        now=system.clock.now(),
        ttl_s=3600,
    )


ONE_MERCHANT = GatewaySettings(rate_limits=RateLimitSettings(merchant_per_minute=6_000_000))
"""Which takes the whole machine, and is counted as any other."""


def gateway(handle: DatabaseHandle) -> Sequence[ChildSpec]:
    return gateway_children(LISTENING, ONE_MERCHANT, handle, CacheHandle())


def _empty(_handle: DatabaseHandle) -> Sequence[ChildSpec]:
    return (ChildSpec("listener", lambda: Listener(_empty_app, LISTENING), name=LISTENER),)


def _empty_app(_system: ActorSystem) -> QuartTrio:
    app = QuartTrio("empty")

    @app.post("/empty")
    async def empty() -> str:
        return ""

    return app
