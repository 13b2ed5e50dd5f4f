"""A real gateway on a real socket, over the real tree or over stub domains, and clients for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import attrs
import httpx
import trio

from actors.auth.keyring import keyring_child
from actors.auth.keys import SigningKey, load_signing_key
from actors.auth.messages import GUARD, Role, Standing
from actors.auth.tokens import issue_token
from actors.core.messages import CUSTOMERS, MERCHANTS, CreateCustomer, RegisterMerchant
from config.policy_loading import default_policies
from gateway.application import gateway_children
from gateway.listener import ListenerSettings
from gateway.messages import LISTENER, Address, GetAddress
from gateway.settings import GatewaySettings
from runtime import Actor, ActorSystem, ChildSpec, Entity, MailboxSpec, Supervisor
from runtime.cache import CacheHandle
from runtime.policies import Policies, PolicyMetrics, RetrySpec, SheddingMode
from runtime.ports import system_ports
from runtime.storage import DatabaseHandle
from runtime.telemetry import Metrics
from supervisors.application import ApplicationSpec, Outside, application
from supervisors.health import HealthBoard
from supervisors.platform import DatabaseSpec
from supervisors.policies import domain_policies
from tests.stores import open_migrated, patient_pipeline

MERCHANT = "flora"
RIVAL = "rival"
CUSTOMER = "ada"
OTHER_CUSTOMER = "bob"

READ_LIMIT_BYTES = 1_000_000
PATIENCE_S = 60.0
"""What a test waits for takes no longer, however often the machine stands still meanwhile."""

POLL_S = 0.01

patient_settings = partial(
    GatewaySettings,
    deadline_s=PATIENCE_S,
    body_timeout_s=PATIENCE_S,
    keys_timeout_s=PATIENCE_S,
    in_flight_wait_s=PATIENCE_S,
    shedding_mode=SheddingMode.DISABLED,
)
"""For tests that are about something else than time and load: who asks is answered."""

_keys = count(1)


@attrs.frozen
class Api:
    """What a test needs of a running gateway. `client` sends no token by itself."""

    system: ActorSystem
    address: Address
    client: httpx.AsyncClient
    signing_key: SigningKey

    def token(self, role: Role = Role.OWNER, merchant_id: str = MERCHANT, **options: Any) -> str:
        """An access token. Options: `customer_id`, `now`, `ttl_s`."""
        platform = role is Role.PLATFORM
        return issue_token(
            self.signing_key,
            subject="tester",
            role=role,
            merchant_id=None if platform else merchant_id,
            customer_id=options.pop("customer_id", CUSTOMER) if role is Role.CUSTOMER else None,
            token_id=f"jti-{next(_keys)}",
            now=options.pop("now", self.system.clock.now() - timedelta(seconds=1)),
            ttl_s=options.pop("ttl_s", 600),
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        role: Role = Role.OWNER,
        key: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """A request with a token for `role`, and `key` as its idempotency key."""
        headers = {"Authorization": f"Bearer {token or self.token(role)}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        headers |= options.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **options)

    async def earn(
        self, amount: int = 100, key: str | None = None, **fields: Any
    ) -> httpx.Response:
        """Points for `CUSTOMER`."""
        body = {"customer_id": CUSTOMER, "amount": amount, "reason": "purchase"} | fields
        return await self.ask("POST", "/v1/points/earn", json=body, key=key or new_key())

    async def posted(self, customer_id: str = CUSTOMER) -> int:
        answer = await self.ask("GET", f"/v1/customers/{customer_id}/balance")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["posted"])

    async def raw(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own; everything that comes back."""
        stream = await trio.open_tcp_stream(self.address.host, self.address.port)
        async with stream:
            await stream.send_all(data)
            return await read_to_end(stream)


def new_key() -> str:
    return f"key-{next(_keys)}"


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """All bytes until the other side closes. Fails when that takes too long."""
    received = bytearray()
    with trio.fail_after(PATIENCE_S):
        try:
            while chunk := await stream.receive_some():
                received += chunk
                assert len(received) < READ_LIMIT_BYTES
        except trio.BrokenResourceError:
            received += b""
    return bytes(received)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when the condition holds. Fails when it never does."""
    end = trio.current_time() + PATIENCE_S
    while not await condition():
        assert trio.current_time() < end, f"{condition} never held"
        await trio.sleep(POLL_S)


def patient_policies(metrics: PolicyMetrics) -> Policies:
    """Those of the gateway, without a call that is too slow, or waits too long to begin."""
    limits = ("deadline_s", "attempt_s", "wait_s", "breaker_slow_s")
    patience: Any = dict.fromkeys(limits, PATIENCE_S)
    settings = {name: attrs.evolve(each, **patience) for name, each in default_policies().items()}
    return domain_policies(settings, Random(1), metrics)


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The problem document in an answer, checked for what every one must have."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["trace_id"]
    assert {"type", "title", "detail", "code"} <= problem.keys()
    assert "Traceback" not in answer.text
    return problem


def outcome_of(answer: httpx.Response) -> tuple[int, str | None]:
    """Status, and the code if the answer is a problem."""
    if answer.status_code < 400:
        return answer.status_code, None
    return answer.status_code, problem_of(answer)["code"]


@asynccontextmanager
async def running_tree(
    tmp_path: Path,
    settings: GatewaySettings | None = None,
    listener: ListenerSettings | None = None,
    handle: DatabaseHandle | None = None,
    url: str | None = None,
    redis_url: str | None = None,
    board: HealthBoard | None = None,
    policies: Policies | None = None,
    outside: Outside | None = None,
) -> AsyncIterator[Api]:
    """The whole application with two merchants, and two customers of the first.

    Over SQLite, unless `url` names another store. A Redis needs `host.run`. Machines that test
    stand still for seconds: everything has time for that, but for what a test brings along.
    """
    if handle is None:
        handle = DatabaseHandle(patient_pipeline(RetrySpec()))
    cache, metrics = CacheHandle(), Metrics()
    policies = policies or patient_policies(metrics.policies)
    spec = ApplicationSpec(
        DatabaseSpec(url or f"sqlite:///{tmp_path}/loyalnest.db", opener=open_migrated),
        tmp_path,
        edge(settings, listener, handle, cache, board, policies),
        redis_url,
        outside=outside if outside is not None else Outside(),
    )
    async with ActorSystem(system_ports(), metrics).run(application(spec, handle, cache)) as system:
        for merchant_id in (MERCHANT, RIVAL):
            await system.ref(MERCHANTS).ask(RegisterMerchant(merchant_id, merchant_id, "EUR"))
        for customer_id in (CUSTOMER, OTHER_CUSTOMER):
            await system.ref(CUSTOMERS).ask(CreateCustomer(MERCHANT, customer_id, None))
        async with api(system, tmp_path) as running:
            yield running


async def always_good(_actor: Actor, _message: object) -> Standing:
    return Standing.GOOD


@asynccontextmanager
async def running_stubs(
    tmp_path: Path,
    stubs: Sequence[ChildSpec],
    settings: GatewaySettings | None = None,
    listener: ListenerSettings | None = None,
    policies: Policies | None = None,
) -> AsyncIterator[Api]:
    """The gateway and the keys, over stub actors in the place of domains. Staff of the platform is
    in good standing."""
    metrics = Metrics()
    policies = policies or patient_policies(metrics.policies)
    children = (
        keyring_child(tmp_path),
        stub(GUARD, always_good),
        *stubs,
        *edge(settings, listener, DatabaseHandle(), CacheHandle(), policies=policies),
    )
    root = ChildSpec(
        "root", lambda: Supervisor(children, intensity=100), name="root", shutdown_s=30.0
    )
    async with (
        ActorSystem(system_ports(), metrics).run(root) as system,
        api(system, tmp_path) as running,
    ):
        yield running


def edge(
    settings: GatewaySettings | None,
    listener: ListenerSettings | None,
    database: DatabaseHandle,
    cache: CacheHandle,
    board: HealthBoard | None = None,
    policies: Policies | None = None,
) -> tuple[ChildSpec, ...]:
    listener = listener or ListenerSettings(drain_s=1.0)
    return gateway_children(
        attrs.evolve(listener, bind="127.0.0.1:0"),
        settings or patient_settings(),
        database,
        cache,
        board,
        policies,
    )


Behaviour = Callable[[Actor, Any], Any]


class Stub(Entity):
    """An actor that does what the test says."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def receive(self, message: Any) -> object:
        return await self._behaviour(self, message)


def stub(name: str, behaviour: Behaviour, **mailbox: Any) -> ChildSpec:
    return ChildSpec(name, lambda: Stub(behaviour), name=name, mailbox=MailboxSpec(**mailbox))


@asynccontextmanager
async def api(system: ActorSystem, key_directory: Path) -> AsyncIterator[Api]:
    address = await system.ref(LISTENER).ask(GetAddress())
    signing_key = await trio.to_thread.run_sync(load_signing_key, key_directory)
    async with httpx.AsyncClient(
        base_url=address.url, timeout=2 * PATIENCE_S, verify=False
    ) as client:
        yield Api(system, address, client, signing_key)


def minutes_from(now: datetime, minutes: float) -> str:
    return (now + timedelta(minutes=minutes)).isoformat()
