"""Who may do what: tokens, roles, and customers who see only themselves."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.auth.keyring import Keyring, keys_from
from actors.auth.keys import KeyStore
from actors.auth.messages import KEYS, GetVerificationKeys, Role
from gateway.verification_keys import REFETCH_KEYS_S
from runtime import ChildSpec, TerminateChild
from supervisors.application import DOMAINS
from tests.integration.gateway.helpers import (
    CUSTOMER,
    OTHER_CUSTOMER,
    Api,
    outcome_of,
    problem_of,
    running_tree,
)

pytestmark = pytest.mark.slow

ME = "/v1/auth/me"


def claims(api: Api, **changes: Any) -> dict[str, Any]:
    now = int(api.system.clock.now().timestamp())
    good = {
        "iss": "loyalnest",
        "aud": "loyalnest-api",
        "sub": "tester",
        "role": "owner",
        "merchant_id": "flora",
        "jti": "1",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(api: Api, key: Any = None, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    header = {"kid": api.signing_key.kid, "typ": "at+jwt"} | (headers or {})
    algorithm = header.pop("alg", "EdDSA")
    signing_key = api.signing_key.private if key is None else key
    return jwt.encode(claims(api, **changes), signing_key, algorithm, headers=header)


def unsigned(api: Api) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return (
        f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': api.signing_key.kid})}.{part(claims(api))}."
    )


def forged(api: Api) -> dict[str, str]:
    """Tokens that must not be believed, by what is wrong with them."""
    now = int(api.system.clock.now().timestamp())
    stranger = Ed25519PrivateKey.generate()
    public = api.signing_key.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    good = signed(api)
    head, body, signature = good.split(".")
    other_body = signed(api, role="platform", merchant_id=None).split(".")[1]
    return {
        "no signature": unsigned(api),
        "cut off signature": f"{head}.{body}.",
        "signature of another token": f"{head}.{other_body}.{signature}",
        "symmetric with the public key": signed(api, public, {"alg": "HS256"}),
        "another key under our id": signed(api, stranger),
        "another key under its own id": signed(api, stranger, {"kid": "stranger"}),
        "no key id": signed(api, headers={"kid": ""}),
        "key to fetch": signed(api, headers={"jku": "https://example.org/keys"}),
        "key brought along": signed(api, stranger, {"jwk": {"kty": "OKP"}}),
        "another type": signed(api, headers={"typ": "JWT"}),
        "another issuer": signed(api, iss="somebody"),
        "another audience": signed(api, aud="somewhere"),
        "no audience": signed(api, aud=None),
        "expired": signed(api, exp=now - 1),
        "no end": signed(api, exp=None),
        "an end that is not a number": signed(api, exp=True),
        "not valid yet": signed(api, nbf=now + 3_600),
        "issued in the future": signed(api, iat=now + 3_600),
        "no role": signed(api, role=None),
        "unknown role": signed(api, role="emperor"),
        "merchant staff without a merchant": signed(api, merchant_id=None),
        "platform with a merchant": signed(api, role="platform"),
        "customer without a customer": signed(api, role="customer"),
        "owner with a customer": signed(api, customer_id=CUSTOMER),
        "merchant not a text": signed(api, merchant_id=7),
        "empty merchant": signed(api, merchant_id=""),
        "not a token": "hello",
        "two dots": "..",
        "a token and more": good + "x",
    }


async def test_no_forged_token_is_believed(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert (await api.ask("GET", ME, token=signed(api))).status_code == 200
        believed = {}
        for name, token in forged(api).items():
            answer = await api.ask("GET", ME, token=token)
            if outcome_of(answer) != (401, "invalid_token"):
                believed[name] = answer.text
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert believed == {}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic dXNlcjpwdw==", "token"])
async def test_without_a_token_there_is_a_challenge(tmp_path: Path, header: str | None) -> None:
    async with running_tree(tmp_path) as api:
        headers = {"Authorization": header} if header is not None else {}
        answer = await api.client.get(ME, headers=headers)
        assert problem_of(answer)["code"] == "token_required"
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_a_token_ends_when_it_says_even_if_it_was_seen_before(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        token = api.token(ttl_s=600, now=api.system.clock.now())
        assert (await api.ask("GET", ME, token=token)).status_code == 200
        clock = api.system.clock
        later = clock.now() + timedelta(seconds=601)
        api.system.clock = type("Later", (), {"now": lambda _self: later})()
        answer = await api.ask("GET", ME, token=token)
        api.system.clock = clock
        assert outcome_of(answer) == (401, "invalid_token")


async def test_the_caller_is_told_who_it_is(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        platform = (await api.ask("GET", ME, role=Role.PLATFORM)).json()
        assert (platform["role"], platform["merchant_id"]) == ("platform", None)
        customer = (await api.ask("GET", ME, role=Role.CUSTOMER)).json()
        assert (customer["role"], customer["customer_id"]) == ("customer", CUSTOMER)


async def test_a_customer_sees_its_own_account_and_no_other(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(10)
        outcomes = {}
        for customer_id in (CUSTOMER, OTHER_CUSTOMER, "nobody"):
            for view in ("balance", "ledger", "lots"):
                path = f"/v1/customers/{customer_id}/{view}"
                answer = await api.ask("GET", path, role=Role.CUSTOMER)
                outcomes[customer_id, view] = answer.status_code
        assert {status for (who, _), status in outcomes.items() if who == CUSTOMER} == {200}
        assert {status for (who, _), status in outcomes.items() if who != CUSTOMER} == {404}


async def test_every_route_refuses_every_role_it_does_not_name(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        document = (await api.client.get("/v1/openapi.json")).json()
        wrong = []
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if "x-roles" not in operation:
                    continue
                url = path.replace("{", "").replace("}", "")
                anonymous = await api.client.request(method, url)
                assert anonymous.status_code == 401, path
                for role in Role:
                    answer = await api.ask(method, url, role=role)
                    refused = outcome_of(answer) == (403, "role_not_allowed")
                    if refused is (role.value in operation["x-roles"]):
                        wrong.append((method, path, role, answer.status_code))
        assert wrong == []


async def test_the_roles_of_the_points_routes_are_as_agreed(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        paths = (await api.client.get("/v1/openapi.json")).json()["paths"]

        def roles(path: str, method: str = "post") -> set[str]:
            return set(paths[path][method]["x-roles"])

        writers = {"owner", "manager", "machine"}
        assert roles("/v1/points/earn") == writers
        assert roles("/v1/points/reverse") == writers
        assert roles("/v1/points/redeem") == writers | {"support"}
        assert roles("/v1/points/holds") == writers | {"support"}
        assert roles("/v1/points/adjust") == {"owner", "manager"}
        assert roles("/v1/points/earn-rule", "put") == {"owner", "manager"}
        assert roles("/v1/points/verify", "get") == {"owner", "manager"}


async def test_known_tokens_work_while_the_auth_domain_is_down(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert (await api.ask("GET", "/v1/merchant")).status_code == 200
        await stop(api, "auth")
        assert (await api.ask("GET", "/v1/merchant", token=api.token())).status_code == 200
        assert outcome_of(await api.client.get("/v1/auth/jwks.json")) == (503, "unavailable")


async def test_without_keys_nobody_is_let_in(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await stop(api, "auth")
        answer = await api.ask("GET", "/v1/merchant")
        assert outcome_of(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_the_published_keys_verify_tokens(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        document = (await api.client.get("/v1/auth/jwks.json")).json()
        key = jwt.PyJWKSet.from_dict(document)[api.signing_key.kid]
        decoded = jwt.decode(api.token(), key, ["EdDSA"], audience="loyalnest-api")
        assert decoded["merchant_id"] == "flora"


class CountingKeyring(Keyring):
    """Counts how often it is asked."""

    asked = 0

    async def receive(self, message: Any) -> object:
        CountingKeyring.asked += isinstance(message, GetVerificationKeys)
        return await super().receive(message)


async def test_unknown_key_ids_do_not_make_the_gateway_ask_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CountingKeyring, "asked", 0)
    child = ChildSpec("keys", lambda: CountingKeyring(keys_from(KeyStore(tmp_path))), name=KEYS)
    monkeypatch.setattr("supervisors.application.auth_children", lambda *_places: (child,))
    async with running_tree(tmp_path) as api:
        stranger = Ed25519PrivateKey.generate()

        async def come_with(kid: str) -> None:
            token = signed(api, stranger, {"kid": kid})
            assert (await api.ask("GET", ME, token=token)).status_code == 401

        before = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(come_with, f"stranger-{number}")
        lasted_s = trio.current_time() - before
        assert CountingKeyring.asked <= 2 + lasted_s / REFETCH_KEYS_S


async def stop(api: Api, domain: str) -> None:
    """Take a domain down, as if it had given up."""

    await api.system.ref(DOMAINS).ask(TerminateChild(domain))
