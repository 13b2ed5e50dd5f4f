"""Every metric there is: named by the rules, documented, bounded in number, and exact."""

import json
import re
from collections import Counter as Tally
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from actors.auth.messages import Role
from actors.core.messages import CUSTOMERS, MERCHANTS, CreateCustomer, RegisterMerchant
from cli.logs import LogWriter
from cli.otlp import TraceMetrics
from runtime import RestartChild, TerminateChild
from supervisors.application import DOMAINS
from tests.integration.gateway.helpers import CUSTOMER, Api, new_key, running_tree

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "config" / "monitoring"

NAME = re.compile(r"loyalnest(_[a-z]+[0-9]*)+")
LABEL = re.compile(r"[a-z]+(_[a-z]+)*")
NOT_BASE_UNITS = re.compile(
    r"_(milliseconds|microseconds|nanoseconds|ms|us|ns|minutes|hours|days|kib|mib|kb|mb|bits|percent)(_|$)"
)
TYPES = re.compile(r"_(counter|gauge|histogram|summary)(_|$)")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
RESERVED_LABELS = {"le", "quantile", "instance", "job"}
PROMETHEUS_OWN = {"up"}
SERIES_MAX = 10_000
MANY, CLIENTS = 300, 10
SHOPS = 100


def wrong_with(family: Metric) -> Iterator[str]:
    """What `promtool check metrics` would have to say about a metric, and a little more."""
    name, kind = family.name, family.type
    if not NAME.fullmatch(name):
        yield f"{name}: letters, digits and single underscores, with the prefix"
    if NOT_BASE_UNITS.search(name):
        yield f"{name}: base units only, seconds and bytes"
    if TYPES.search(name):
        yield f"{name}: the type does not belong into the name"
    if name.endswith(("_total", "_count", "_sum", "_bucket", "_info", "_created")):
        yield f"{name}: that suffix belongs to the exposition"
    if not re.fullmatch(r"[A-Z0-9].*[^.\s]", family.documentation):
        yield f"{name}: the help is a phrase without a full stop"
    if kind == "histogram" and not name.endswith(("_seconds", "_bytes")):
        yield f"{name}: a histogram has a unit"
    if kind not in {"counter", "gauge", "histogram"}:
        yield f"{name}: of type {kind}"
    for label in {label for sample in family.samples for label in sample.labels}:
        own = label == "le" and kind == "histogram"
        if not LABEL.fullmatch(label) or (label in RESERVED_LABELS and not own):
            yield f"{name}: label {label}"


def complete(registry: CollectorRegistry, writer: LogWriter) -> list[Metric]:
    """What `serve` shows, its own part included."""
    return [*registry.collect(), *writer.collect()]


def exposed(families: list[Metric]) -> set[str]:
    """The names that queries may use."""
    return {
        f"{family.name}{suffix}"
        for family in families
        for suffix in SUFFIXES.get(family.type, ("",))
    }


async def exercise(api: Api) -> None:
    """A little of everything, so that labels have values."""
    await api.earn(1)
    await api.earn(-1)
    await api.ask("GET", f"/v1/customers/{CUSTOMER}/balance", token="forged")
    await api.ask("GET", "/v1/points/verify")
    await api.ask("GET", "/v1/products")
    await api.system.ref(DOMAINS).ask(TerminateChild("products"))
    await api.ask("GET", "/v1/products")
    await api.system.ref(DOMAINS).ask(RestartChild("products"))


@pytest.fixture
async def families(tmp_path: Path) -> list[Metric]:
    writer = LogWriter(hold_s=None)
    try:
        async with running_tree(tmp_path) as api:
            TraceMetrics(api.system.metrics.registry)
            await exercise(api)
            return complete(api.system.metrics.registry, writer)
    finally:
        writer.close()


async def test_every_metric_keeps_the_rules(families: list[Metric]) -> None:
    assert [line for family in families for line in wrong_with(family)] == []
    assert len(families) == len({family.name for family in families})


@pytest.mark.parametrize(
    ("name", "help_", "kind"),
    [
        ("loyalnest_wait_ms", "Wait", "gauge"),
        ("loyalnest_wait_minutes", "Wait", "gauge"),
        ("loyalnest_jobs_total", "Jobs", "gauge"),
        ("loyalnest_job_count", "Jobs", "gauge"),
        ("loyalnest_jobs_counter", "Jobs", "counter"),
        ("loyalnest__jobs", "Jobs", "counter"),
        ("jobs", "Jobs", "counter"),
        ("loyalnest_jobs", "", "counter"),
        ("loyalnest_jobs", "Jobs there are.", "counter"),
        ("loyalnest_wait", "Wait", "histogram"),
        ("loyalnest_wait_seconds", "Wait", "summary"),
    ],
)
async def test_the_rules_see_what_breaks_them(name: str, help_: str, kind: str) -> None:
    assert list(wrong_with(Metric(name, help_, kind)))


async def test_every_metric_is_documented_and_every_documented_one_exists(
    families: list[Metric],
) -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert [name for name in exposed_names(families) if name not in pages] == []
    told = set(re.findall(r"`(loyalnest_[a-z0-9_]+)", (ROOT / "docs/operations.md").read_text()))
    assert told - exposed(families) - exposed_names(families) == set()


def exposed_names(families: list[Metric]) -> set[str]:
    """The names as the documentation has them: a histogram without its suffixes."""
    total = {f"{family.name}_total" for family in families if family.type == "counter"}
    return total | {family.name for family in families if family.type != "counter"}


def queries() -> Iterator[str]:
    """Every expression of the rules and of the dashboard."""
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    for group in rules["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (
        each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"
    )


def recorded() -> set[str]:
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    every = chain.from_iterable(group["rules"] for group in rules["groups"])
    return {rule["record"] for rule in every if "record" in rule}


async def test_every_query_of_dashboard_and_alerts_names_metrics_that_exist(
    families: list[Metric],
) -> None:
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    known = exposed(families) | exposed(list(process.collect())) | recorded() | PROMETHEUS_OWN
    wanted: set[str] = set()
    for query in queries():
        bare = re.sub(r'"[^"]*"', '""', query)
        wanted |= set(re.findall(r"(?:loyalnest|process)[a-z0-9_:]+", bare))
        wanted |= {name for name in PROMETHEUS_OWN if re.search(rf"\b{name}\{{", bare)}
    assert len(wanted) > 25
    assert wanted - known == set()


async def test_every_bound_of_a_query_is_one_of_its_histogram(families: list[Metric]) -> None:
    bounds = {
        family.name: {s.labels["le"] for s in family.samples if "le" in s.labels}
        for family in families
    }
    asked = [
        hit for query in queries() for hit in re.findall(r'(\w+)_bucket\{[^}]*le="(.*?)"', query)
    ]
    assert asked
    assert [pair for pair in asked if pair[1] not in bounds[pair[0]]] == []


async def test_the_counters_agree_exactly_with_those_who_asked(tmp_path: Path) -> None:
    tally: Tally[tuple[str, str, str]] = Tally()
    at_once = trio.CapacityLimiter(CLIENTS)

    async with running_tree(tmp_path) as api:

        async def ask(number: int) -> None:
            method, path, route, options = REQUESTS[number % len(REQUESTS)]
            async with at_once:
                answer = await api.ask(method, path, **options())
            tally[method, route, str(answer.status_code)] += 1

        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                nursery.start_soon(ask, number)
        text = (await api.client.get("/metrics")).text
    counted = Tally(
        {
            (s.labels["method"], s.labels["route"], s.labels["code"]): int(s.value)
            for s in samples_of(text, "loyalnest_http_requests_total")
        }
    )
    timed = sum(s.value for s in samples_of(text, "loyalnest_http_request_duration_seconds_count"))
    assert counted == tally
    assert timed == sum(tally.values()) == MANY
    (in_flight,) = samples_of(text, "loyalnest_http_requests_in_flight")
    assert in_flight.value == 1  # the scrape itself
    denied = {
        s.labels["reason"]: s.value for s in samples_of(text, "loyalnest_authz_denials_total")
    }
    refused = {"403": "role_not_allowed", "401": "invalid_token"}
    assert denied == {
        reason: sum(n for (_, _, code), n in tally.items() if code == status)
        for status, reason in refused.items()
    }


def _earn(amount: int) -> dict[str, Any]:
    body = {"customer_id": CUSTOMER, "amount": amount, "reason": "purchase"}
    return {"json": body, "key": new_key()}


REQUESTS: tuple[tuple[str, str, str, Any], ...] = (
    ("POST", "/v1/points/earn", "/v1/points/earn", lambda: _earn(5)),
    ("POST", "/v1/points/earn", "/v1/points/earn", lambda: _earn(0)),
    ("GET", f"/v1/customers/{CUSTOMER}/balance", "/v1/customers/{customer_id}/balance", dict),
    ("GET", "/v1/customers/no%20id/balance", "/v1/customers/{customer_id}/balance", dict),
    ("GET", "/v1/customers/nobody", "/v1/customers/{customer_id}", dict),
    ("GET", "/v1/products", "/v1/products", lambda: {"token": "forged"}),
    ("GET", "/v1/admin/dead-letters", "/v1/admin/dead-letters", dict),
    ("GET", "/v1/nothing", "unmatched", dict),
)


def samples_of(text: str, name: str) -> list[Any]:
    return [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


async def test_merchants_and_customers_make_no_series_of_their_own(tmp_path: Path) -> None:
    """A hundred merchants leave no more series than one does, so 100,000 leave none either."""

    async def use(api: Api, merchant_id: str) -> None:
        await api.system.ref(MERCHANTS).ask(RegisterMerchant(merchant_id, merchant_id, "EUR"))
        await api.system.ref(CUSTOMERS).ask(CreateCustomer(merchant_id, "cid-secret", None))
        token = api.token(Role.OWNER, merchant_id)
        body = {"customer_id": "cid-secret", "amount": 1, "reason": "purchase"}
        for status, role_token in ((200, token), (401, "forged")):
            answer = await api.ask(
                "POST", "/v1/points/earn", token=role_token, json=body, key=new_key()
            )
            assert answer.status_code == status, answer.text
        answer = await api.ask("GET", "/v1/customers/cid-secret/balance", token=token)
        assert answer.json()["posted"] == 1

    async with running_tree(tmp_path) as api:
        registry = api.system.metrics.registry
        await use(api, "merchant-one")
        await exercise(api)
        await trio.sleep(1.2)  # one round of the health check
        before = series(registry)
        for number in range(SHOPS):
            await use(api, f"merchant-{number}")
        after = series(registry)
    new = {actor for line in after - before for actor in re.findall(r'actor="(.*?)"', line)}
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", kind) for kind in new)  # sampled later than others
    late = {line for line in after - before if "{actor=" not in line}
    assert len(late) < SHOPS / 4, late  # what looks seldom may not have looked before
    assert len(after) < SERIES_MAX
    assert not [line for line in after if "merchant-" in line or "cid-secret" in line]


def series(registry: CollectorRegistry) -> set[str]:
    """Names and labels, without the values."""
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}
