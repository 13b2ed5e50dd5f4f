"""The real server under random requests: its document, tokens of every role, what it told of."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
import requests
import schemathesis
from requests.structures import CaseInsensitiveDict
from schemathesis import APIOperation, Case
from schemathesis.core.result import Ok

from actors.auth.messages import Role
from cli import demo
from cli.tokens import new_token
from config.policies import DEPENDENCIES
from tests.fuzz.documented import limited_operations
from tests.integration.cli.program import Running, started

ANSWER_TIMEOUT_S: Final = 120.0

SHEDDING: Final = "/v1/admin/shedding"

KNOWN_VALUES: Final = 40
"""So many ids of a kind are kept."""

CUSTOMER: Final = "cust-001"
HOLDS: Final = 8
NO_LIMITS: Final = {
    f"LOYALNEST_RATE_LIMIT_{whose}_PER_MINUTE": "0" for whose in ("MERCHANT", "CUSTOMER", "ADDRESS")
} | {"LOYALNEST_RATE_LIMIT_ROUTES": ", ".join(f"{name}=0" for name in limited_operations())}

PATIENT: Final = {"LOYALNEST_REQUEST_TIMEOUT_S": "60", "LOYALNEST_HTTP_SHEDDING": "disabled"} | {
    f"LOYALNEST_POLICIES__{name}__{knob}_S".upper(): "60"
    for name in DEPENDENCIES
    for knob in ("deadline", "attempt", "wait", "breaker_slow")
}
"""A machine that stands still for some seconds is no failure of the server."""

NEEDED_BY_NOBODY = "loyalnest/domains/points/expiry"
"""An actor that no request waits for, so that it may be suspended at random."""


@attrs.define(eq=False)
class Service:
    """A running server. `operations` are those it documents, such as `GET /v1/orders`; `known`
    are ids it told, by the name of their field."""

    process: Running
    url: str
    data_dir: Path
    session: requests.Session
    operations: dict[str, APIOperation[Any, Any, Any, Any]]
    known: dict[str, list[str]] = attrs.field(factory=lambda: {"actor": [NEEDED_BY_NOBODY]})

    def methods_at(self, path: str) -> set[str]:
        """The methods documented for a path, which more than one template may fit."""
        return {
            operation.method.upper()
            for operation in self.operations.values()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", operation.path), path)
        }

    def send(self, case: Case[Any], headers: dict[str, str]) -> schemathesis.Response:
        """Send a generated case, once: one client alone is never told that the server is busy."""
        answer = case.call(session=self.session, headers=headers, timeout=ANSWER_TIMEOUT_S)
        self.learn(answer.content)
        if case.path == SHEDDING and answer.status_code == 200 and case.method.upper() == "PUT":
            self.admit_again()
        return answer

    def send_raw(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> requests.Response:
        """Send any bytes as they are."""
        return self.session.request(
            method,
            self.url + path,
            data=body,
            headers=CaseInsensitiveDict(headers),
            timeout=ANSWER_TIMEOUT_S,
            allow_redirects=False,
        )

    def admit_again(self) -> None:
        """Undo what an operator may do: turn requests of his choice away with 503."""
        body = json.dumps({"reason": "it was a test", "mode": "automatic", "shed": []}).encode()
        headers = self.authorization("platform") | {"Content-Type": "application/json"}
        assert self.send_raw("PUT", SHEDDING, body, headers).status_code == 200

    def authorization(self, role: str | None) -> dict[str, str]:
        """The header with a token of a role, or none. It is a new one every time, because requests
        at random log out."""
        if role is None:
            return {}
        merchant = None if role == Role.PLATFORM.value else demo.MERCHANT_ID
        customer = CUSTOMER if role == Role.CUSTOMER.value else None
        token = new_token(self.data_dir, Role(role), merchant, customer)
        return {"Authorization": f"Bearer {token}"}

    def ledger_is_clean(self) -> bool:
        """Whether the server finds its whole ledger in order, after all that."""
        answer = self.send_raw("GET", "/v1/points/verify", None, self.authorization("owner"))
        return bool(answer.json()["clean"])

    def learn(self, content: bytes) -> None:
        """Remember the ids in an answer, so that later requests can name what exists."""
        try:
            waiting: list[Any] = [json.loads(content)]
        except ValueError:
            return
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting += node
            elif isinstance(node, dict):
                waiting += node.values()
                for name, value in node.items():
                    self._remember(name, value)

    def _remember(self, name: str, value: object) -> None:
        is_id = name == "sku" or (name.endswith("_id") and name != "trace_id")
        if isinstance(value, str) and is_id:
            values = self.known.setdefault(name, [])
            if value not in values and len(values) < KNOWN_VALUES:
                values.append(value)


def example_of(path: str) -> str:
    """A path that fits a template."""
    return re.sub(r"[{}]", "", path)


@contextmanager
def served(folder: Path) -> Iterator[Service]:
    """The program with its demo merchant, in a process of its own, without rate limits."""
    command = ("serve", "--demo", "--http-bind", "127.0.0.1:0", "--log-level", "error")
    with (
        started(*command, cwd=folder, stderr=None, fresh=False, **NO_LIMITS, **PATIENT) as process,
        requests.Session() as session,
    ):
        session.trust_env = False
        url = process.url()
        # From its address it would leave out the operation that tells the document.
        schema = schemathesis.openapi.from_dict(session.get(f"{url}/v1/openapi.json").json())
        schema.config.update(base_url=url)
        schema.config.generation.update(with_security_parameters=False)
        found = (result.ok() for result in schema.get_all_operations() if isinstance(result, Ok))
        operations = {operation.label: operation for operation in found}
        service = Service(
            process,
            url,
            folder / "data",
            session,
            operations,
        )
        _look_around(service)
        yield service


def _look_around(service: Service) -> None:
    """Make some holds, and read what the lists and a ledger show, for ids."""
    headers, tomorrow = service.authorization("owner"), datetime.now(UTC) + timedelta(days=1)
    for number in range(HOLDS):
        keyed = headers | {"Idempotency-Key": f"hold-{number}", "Content-Type": "application/json"}
        hold = {"customer_id": CUSTOMER, "amount": 1, "expires_at": tomorrow.isoformat()}
        answer = service.send_raw("POST", "/v1/points/holds", json.dumps(hold).encode(), keyed)
        assert answer.status_code == 200, answer.text
        service.learn(answer.content)
    readable = [op.path for op in service.operations.values() if op.method.upper() == "GET"]
    for path in [f"/v1/customers/{CUSTOMER}/ledger", *readable]:
        if "{" not in path:
            service.learn(service.send_raw("GET", path, None, headers).content)
