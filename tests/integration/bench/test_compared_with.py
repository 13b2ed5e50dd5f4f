"""The two that the product is compared with do the same work: pgbench, and the FastAPI service."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import attrs
import pytest

from actors.points.messages import QUERIES, Verification, Verify
from tests.bench.fastapi_service.process import fastapi_service, token_for
from tests.bench.pgbench import transactions_per_s
from tests.bench.product import MERCHANT, Product, with_product
from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

CUSTOMERS = 2


def new_database(postgres: PostgresServer) -> str:
    """One with the product's tables, and customers without points."""
    url = postgres.migrated_database()
    verified(url)
    return url


def verified(url: str) -> Verification:
    """What the product finds when it recomputes everything."""

    async def verify(product: Product) -> Verification:
        return await product.system.ref(QUERIES).ask(Verify(MERCHANT))

    return with_product(verify, customers=CUSTOMERS, url=url)


def count(postgres: PostgresServer, url: str, table: str) -> int:
    return int(postgres.tool("psql", "-qAt", "-c", f"select count(*) from {table}", url))


def test_pgbench_writes_the_rows_of_one_earn_in_each_transaction(
    postgres: PostgresServer,
) -> None:
    url = new_database(postgres)
    assert transactions_per_s(postgres, url, clients=2, duration_s=1) > 0
    transactions = count(postgres, url, "points_transactions")
    assert transactions > 0
    assert count(postgres, url, "points_postings") == 2 * transactions
    assert count(postgres, url, "points_lots") == transactions
    assert count(postgres, url, "idempotency_keys") == transactions
    assert count(postgres, url, "points_accounts") == 2


@attrs.frozen
class Reply:
    status: int
    replayed: bool
    body: dict[str, object]


@attrs.frozen
class Service:
    """The FastAPI service, asked by a client with a token, and its database."""

    port: int
    url: str

    def earn(self, key: str, *, token: str | None = None, **fields: object) -> Reply:
        body = {"customer_id": "customer-0", "amount": 5, "reason": "test", **fields}
        headers = {
            "Authorization": f"Bearer {token or token_for(MERCHANT)}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("POST", "/v1/points/earn", json.dumps(body), headers)
            answer = connection.getresponse()
            replayed = answer.headers.get("Idempotency-Replayed") == "true"
            return Reply(answer.status, replayed, json.loads(answer.read()))


@pytest.fixture(scope="module")
def service(postgres: PostgresServer) -> Iterator[Service]:
    url = new_database(postgres)
    with fastapi_service(url) as port:
        yield Service(port, url)


def test_what_the_fastapi_service_wrote_is_what_the_product_would_have_written(
    service: Service,
) -> None:
    for number in range(3):
        reply = service.earn(f"key-{number}", expires_at="2099-01-01T00:00:00Z", order_id="o-1")
        assert reply.status == 200
    assert reply.body["sequence"] == 3
    assert reply.body["balance"] == {"posted": 15, "held": 0, "available": 15, "pending": 0}
    found = verified(service.url)
    assert found.transactions >= 3
    assert found.mismatches == ()


def test_the_fastapi_service_answers_a_repetition_with_the_first_result(service: Service) -> None:
    first = service.earn("key", customer_id="customer-1")
    again = service.earn("key", customer_id="customer-1")
    assert again == attrs.evolve(first, replayed=True)
    assert service.earn("key", customer_id="customer-1", amount=6).status == 422


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"customer_id": "nobody"}, 404),
        ({"amount": 0}, 422),
        ({"amount": "5"}, 422),
        ({"role": "owner"}, 422),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 422),
        ({"token": "forged"}, 401),
    ],
)
def test_the_fastapi_service_refuses(service: Service, fields: dict[str, str], status: int) -> None:
    assert service.earn("refused", **fields).status == status
