"""The OpenAPI document matches the routes, and the page tells it to people."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gateway.application import all_routes
from gateway.settings import GatewaySettings
from runtime import ActorSystem
from supervisors.health import HealthBoard
from tests.integration.gateway.helpers import running_stubs

pytestmark = pytest.mark.slow

METHODS = {"get", "put", "post", "delete", "patch"}


def routes_of_the_code() -> set[tuple[str, str]]:
    routes = all_routes(ActorSystem(), GatewaySettings(), HealthBoard())
    return {(route.path, route.method.lower()) for route in routes}


async def document_of(tmp_path: Path) -> dict[str, Any]:
    async with running_stubs(tmp_path, ()) as api:
        document: dict[str, Any] = (await api.client.get("/v1/openapi.json")).json()
        return document


async def test_every_route_is_in_the_document_and_nothing_else(tmp_path: Path) -> None:
    document = await document_of(tmp_path)
    documented = {
        (path, method) for path, methods in document["paths"].items() for method in methods
    }
    assert documented == routes_of_the_code()
    assert {method for _, method in documented} <= METHODS


async def test_every_reference_in_the_document_leads_somewhere(tmp_path: Path) -> None:
    document = await document_of(tmp_path)
    references = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert references == set(document["components"]["schemas"])


async def test_operations_are_complete(tmp_path: Path) -> None:
    document = await document_of(tmp_path)
    ids = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))
            assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
            assert any(status.startswith("2") for status in operation["responses"])
            assert {"400", "500"} <= operation["responses"].keys()
            if operation["security"] and {} not in operation["security"]:
                assert {"401", "403", "503"} <= operation["responses"].keys()
                assert operation["x-roles"]
            if path.startswith("/v1/points/") and method == "post" and "batch" not in path:
                (key,) = [p for p in operation["parameters"] if p["name"] == "Idempotency-Key"]
                assert key["required"]
    assert len(ids) == len(set(ids))


async def test_bodies_forbid_unknown_fields_in_the_document_too(tmp_path: Path) -> None:
    document = await document_of(tmp_path)
    schemas = document["components"]["schemas"]
    strict = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                assert schemas[name]["additionalProperties"] is False
                strict += 1
    assert strict > 30


class Page(HTMLParser):
    """Collects what the assertions are about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [value for value in [given.get("id")] if value]
        self.links += [value for value in [given.get("href")] if value]
        self.outside += [value for name, value in attrs if value and name in {"src", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


async def test_the_page_shows_every_operation_and_needs_nothing_from_outside(
    tmp_path: Path,
) -> None:
    async with running_stubs(tmp_path, ()) as api:
        answer = await api.client.get("/docs")
        document = (await api.client.get("/v1/openapi.json")).json()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Page(answer.text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    operations = {op["operationId"] for ms in document["paths"].values() for op in ms.values()}
    assert operations <= set(page.ids)
    assert not page.outside
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    assert all(link.startswith(("/", "#")) for link in page.links)
    assert {"nav", "main", "h1", "th"} <= set(page.tags)
    assert 'lang="en"' in answer.text
    assert "width=device-width" in answer.text
    assert "prefers-color-scheme: dark" in answer.text


async def test_every_example_of_the_page_is_one_the_server_reads(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        page = Page((await api.client.get("/docs")).text)
        wrong = {}
        token = api.token()
        for text in page.texts:
            command = re.match(r'curl -X (\w+) "\$LOYALNEST_URL(\S+)"', text)
            body = re.search(r"-d '(.*)'$", text, re.DOTALL)
            if command is None or body is None:
                continue
            headers = {"Content-Type": "application/json"}
            key = "k" if "Idempotency-Key" in text else None
            answer = await api.ask(
                *command.groups(), content=body[1].encode(), key=key, headers=headers, token=token
            )
            if answer.status_code not in {403, 503}:
                wrong[command[0]] = answer.text
        assert wrong == {}


async def test_the_landing_page_leads_on(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        page = Page((await api.client.get("/")).text)
        assert {"/docs", "/v1/openapi.json", "/health"} <= set(page.links)
        for link in page.links:
            assert (await api.client.get(link)).status_code == 200
