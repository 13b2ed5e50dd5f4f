"""`POST /v1/points/earn` against an empty route on the same listener."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import trio
from quart_trio import QuartTrio

from actors.auth.keys import load_signing_key
from actors.auth.messages import Role
from actors.auth.tokens import issue_token
from actors.core.messages import CUSTOMERS, MERCHANTS, CreateCustomer, RegisterMerchant
from cli.logs import LogWriter, logging_to
from gateway.application import gateway_children
from gateway.listener import Listener, ListenerSettings
from gateway.messages import LISTENER, GetAddress
from gateway.settings import GatewaySettings
from runtime import ActorSystem, ChildSpec
from runtime.storage import DatabaseHandle
from supervisors.application import ApplicationSpec, application
from supervisors.platform import DatabaseSpec
from tests.bench.harness import Figure, compare

MERCHANT = "bench"
LISTENING = ListenerSettings(bind="127.0.0.1:0")
CLIENT = Path(__file__).with_name("client.py")


def serving() -> list[Figure]:
    return [
        compare(
            "POST /v1/points/earn, 32 connections, against an empty Quart-Trio route",
            partial(_serve, "/v1/points/earn", _gateway),
            partial(_serve, "/empty", _empty),
            unit="requests/s",
            goal=0.6,
        )
    ]


def _serve(path: str, edge: Callable[[DatabaseHandle], Sequence[ChildSpec]]) -> float:
    """With the log as the program writes it, but to nowhere."""
    with Path(os.devnull).open("w") as nowhere:
        writer = LogWriter(nowhere.fileno())
        with logging_to(writer, level="info", console=False):
            rate = trio.run(_measure, path, edge)
    return rate


async def _measure(path: str, edge: Callable[[DatabaseHandle], Sequence[ChildSpec]]) -> float:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        handle = DatabaseHandle()
        url = f"sqlite:///{directory}/bench.db"
        spec = ApplicationSpec(DatabaseSpec(url), directory, tuple(edge(handle)))
        async with ActorSystem().run(application(spec, handle)) as system:
            await system.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Bench", "USD"))
            for number in range(32):
                customer = CreateCustomer(MERCHANT, f"customer-{number}", None)
                await system.ref(CUSTOMERS).ask(customer)
            address = await system.ref(LISTENER).ask(GetAddress())
            return await _drive(address.port, path, _token(system, directory))


async def _drive(port: int, path: str, token: str) -> float:
    """Requests per second of a client in a process of its own."""
    done = await trio.run_process(
        [sys.executable, str(CLIENT), str(port), path, token],
        capture_stdout=True,
        stderr=subprocess.DEVNULL,
    )
    return float(done.stdout)


def _token(system: ActorSystem, directory: Path) -> str:
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


def _gateway(handle: DatabaseHandle) -> Sequence[ChildSpec]:
    return gateway_children(LISTENING, GatewaySettings(), handle)


def _empty(_handle: DatabaseHandle) -> Sequence[ChildSpec]:
    return (ChildSpec("listener", lambda: Listener(_empty_app, LISTENING), name=LISTENER),)


def _empty_app(_system: ActorSystem) -> QuartTrio:
    app = QuartTrio("empty")

    @app.post("/empty")
    async def empty() -> str:
        return ""

    return app
