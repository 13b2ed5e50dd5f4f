"""Each alert on made-up series: it fires, it stays silent just below, and it comes to an end."""

from collections.abc import Callable
from itertools import chain

import attrs
import pytest
import yaml

from tests.prometheus import RULES, Prometheus
from tests.promql import Labels, Store, labels_of, parse, without_name

STEP_S = 60.0
MINUTE, HOUR = 60.0, 3_600.0
PROCESS = {"instance": "a", "job": "loyalnest"}


Feed = Callable[[float], dict[Labels, float]]


def run(
    alert: str, feed: Feed, until_s: float, *, step_s: float = STEP_S, recording: bool = False
) -> list[bool]:
    """Whether the alert fires, step by step."""
    prometheus = Prometheus.loaded()
    fires = []
    while prometheus.time <= until_s:
        prometheus.scraped(feed(prometheus.time))
        if recording:
            prometheus.record()
        fires.append(prometheus.fires(alert))
        prometheus.time += step_s
    return fires


def gauge(name: str, low: float, high: float, start: float, end: float, **labels: str) -> Feed:
    """`high` from `start` to `end`, `low` otherwise."""
    key = labels_of(name, **PROCESS, **labels)
    return lambda time: {key: high if start <= time < end else low}


def counter(name: str, step: float, start: float, end: float, **labels: str) -> Feed:
    """Grows by `step` a minute from `start` to `end`."""
    key = labels_of(name, **PROCESS, **labels)
    return lambda time: {key: step * max(0.0, min(time, end) - start) / STEP_S}


def together(*feeds: Feed) -> Feed:
    return lambda time: {k: v for feed in feeds for k, v in feed(time).items()}


@attrs.frozen
class Case:
    """`bad` fires, `good` is just under the threshold. Both end at `END_S`."""

    alert: str
    bad: Feed
    good: Feed


START_S, END_S, UNTIL_S = 10 * MINUTE, 30 * MINUTE, 110 * MINUTE


def switched(alert: str, name: str, **labels: str) -> Case:
    """An alert on a gauge that is 0: for long enough, and for a moment only."""
    bad = gauge(name, 1, 0, START_S, END_S, **labels)
    return Case(alert, bad, gauge(name, 1, 0, START_S, START_S + STEP_S, **labels))


def grown(alert: str, name: str, bad: float = 1, good: float = 0, **labels: str) -> Case:
    """An alert on a counter that grows by `bad` in a minute."""
    end = START_S + STEP_S
    return Case(
        alert,
        counter(name, bad, START_S, end, **labels),
        counter(name, good, START_S, end, **labels),
    )


def above(alert: str, name: str, bad: float, good: float, **labels: str) -> Case:
    return Case(
        alert,
        gauge(name, 0, bad, START_S, END_S, **labels),
        gauge(name, 0, good, START_S, END_S, **labels),
    )


def shed(per_second: float) -> Feed:
    """Requests refused at a constant rate from START_S to END_S."""
    minute = per_second * STEP_S
    return counter("loyalnest_requests_shed_total", minute, START_S, END_S, priority="reads")


def queue(running: float) -> Feed:
    return together(
        gauge("loyalnest_queue_depth_limit", 100, 100, 0, 0, queue="mail"),
        gauge("loyalnest_queue_depth", 0, 50, START_S, END_S, queue="mail", state="available"),
        gauge("loyalnest_queue_depth", 0, running, START_S, END_S, queue="mail", state="running"),
        gauge("loyalnest_queue_depth", 900, 900, 0, 0, queue="mail", state="dead"),
    )


def lag(bound: str) -> Feed:
    """All beats of a minute late by up to `bound`, from START_S to END_S; in time otherwise."""
    bounds = ["0.01", "0.1", "0.25", "0.5", "+Inf"]

    def feed(time: float) -> dict[Labels, float]:
        late = 600 * max(0.0, min(time, END_S) - START_S) / STEP_S
        every = 600 * time / STEP_S
        return {
            labels_of("loyalnest_loop_lag_seconds_bucket", **PROCESS, le=le): (
                every if bounds.index(le) >= bounds.index(bound) else every - late
            )
            for le in bounds
        }

    return feed


def unconfirmed(texts: float) -> Feed:
    """Of a hundred texts, those of which nothing is known from START_S to END_S."""
    return together(
        gauge("loyalnest_referral_texts_watched", 100, 100, 0, 0),
        gauge("loyalnest_referral_texts_unconfirmed", 0, texts, START_S, END_S),
    )


CASES = (
    switched("LoyalNestDown", "up"),
    switched("LoyalNestNotReady", "loyalnest_ready"),
    switched("LoyalNestDomainDown", "loyalnest_domain_up", domain="points"),
    switched("LoyalNestDependencyDown", "loyalnest_dependency_up", dependency="database"),
    grown("LoyalNestLedgerMismatch", "loyalnest_points_ledger_mismatches_total"),
    Case("LoyalNestLoopLags", lag("0.5"), lag("0.25")),
    Case("LoyalNestShedsLoad", shed(1.1), shed(0.9)),
    grown("LoyalNestRestarts", "loyalnest_actor_restarts_total", 6, 4, child="x"),
    grown("LoyalNestHandlerHangs", "loyalnest_handlers_over_limit_total", actor="Journal"),
    Case("LoyalNestQueueFills", queue(31), queue(30)),
    grown("LoyalNestJobsDie", "loyalnest_jobs_dead_total", queue="mail"),
    grown("LoyalNestEventsDie", "loyalnest_outbox_dead_total"),
    above("LoyalNestEventsLate", "loyalnest_outbox_lag_seconds", 61, 60),
    above("LoyalNestEarningsWait", "loyalnest_points_deferred_oldest_age_seconds", 601, 600),
    Case("LoyalNestTextsUnconfirmed", unconfirmed(21), unconfirmed(20)),
    above("LoyalNestSegmentsOld", "loyalnest_segments_age_seconds", 172_801, 172_800),
    grown("LoyalNestEventsDropped", "loyalnest_events_dropped_total", reason="disk_full"),
    grown("LoyalNestLogLinesLost", "loyalnest_log_lines_dropped_total"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_stays_silent_just_below_and_ends(case: Case) -> None:
    fires = run(case.alert, case.bad, UNTIL_S)
    assert True in fires
    assert not any(fires[: int(START_S / STEP_S)])
    assert not fires[-1]
    assert True not in run(case.alert, case.good, UNTIL_S)


REQUESTS_A_MINUTE = 10_000.0
BURNS = (
    ("LoyalNestBudgetBurnsFast", 14.4, 1, 5 * MINUTE),
    ("LoyalNestBudgetBurns", 6.0, 6, 30 * MINUTE),
    ("LoyalNestBudgetBurnsSlowly", 1.0, 72, 6 * HOUR),
)
BUDGETS = {
    "gateway_availability": 0.001,
    "points_writes": 0.0005,
    "points_writes_latency": 0.01,
    "points_reads_latency": 0.01,
}


def traffic(objective: str, share: float, start: float, end: float) -> Feed:
    """Requests of which a `share` is bad by the objective, from `start` to `end`."""
    domain = "orders" if objective == "gateway_availability" else "points"
    method = "GET" if objective == "points_reads_latency" else "POST"
    route = {"domain": domain, "method": method, "route": "/v1/x", **PROCESS}
    limit = {"points_writes_latency": "0.4", "points_reads_latency": "0.25"}.get(objective)

    def feed(time: float) -> dict[Labels, float]:
        every = REQUESTS_A_MINUTE * time / STEP_S
        bad = share * REQUESTS_A_MINUTE * max(0.0, min(time, end) - start) / STEP_S
        probes = labels_of(
            "loyalnest_http_requests_total",
            **PROCESS,
            domain="operation",
            method="GET",
            route="/health/ready",
            code="503",
        )
        if limit is None:
            name = "loyalnest_http_requests_total"
            return {
                labels_of(name, **route, code="200"): every - bad,
                labels_of(name, **route, code="503"): bad,
                probes: every,
            }
        name = "loyalnest_http_request_duration_seconds"
        return {
            labels_of(f"{name}_bucket", **route, le=limit): every - bad,
            labels_of(f"{name}_count", **route): every,
            probes: every,
        }

    return feed


BURNING = [
    pytest.param(alert, rate * budget, long_h * HOUR, short_s, objective, id=f"{alert}-{objective}")
    for alert, rate, long_h, short_s in BURNS
    for objective, budget in BUDGETS.items()
]


@pytest.mark.slow
@pytest.mark.parametrize(("alert", "share", "long_s", "short_s", "objective"), BURNING)
def test_a_budget_alert_fires_at_its_rate_and_ends_soon_after_the_trouble(
    alert: str, share: float, long_s: float, short_s: float, objective: str
) -> None:
    """Bad for one long window; then the short window is what ends the alert."""
    until_s, step_s = long_s + 2 * short_s, short_s / 5
    bad = traffic(objective, 1.02 * share, 0, long_s)
    over = run(alert, bad, until_s, step_s=step_s, recording=True)
    assert over[int(long_s / step_s)]
    assert not over[-1]
    good = traffic(objective, 0.98 * share, 0, long_s)
    assert True not in run(alert, good, until_s, step_s=step_s, recording=True)


def test_every_alert_is_tried() -> None:
    tried = {case.alert for case in CASES} | {alert for alert, *_ in BURNS}
    assert tried == set(Prometheus.loaded().alerts)


def test_every_alert_says_what_it_means_and_who_is_to_hear_of_it() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    page = (RULES.parents[2] / "docs" / "operations.md").read_text()
    for rule in chain.from_iterable(group["rules"] for group in groups):
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"]["summary"]
            assert f"`{rule['alert']}`" in page


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("vector(2)", {(): 2.0}),
        ('x{a="1"} + 1', {(("a", "1"),): 4.0}),
        ("sum(x)", {(): 8.0}),
        ("sum by (a) (x) > 3", {(("a", "2"),): 5.0}),
        ('x{a!="1"} / on (a) y', {(("a", "2"),): 2.5}),
        ("max(x) and max(nothing)", {}),
        ("increase(grows[4m])", {(): 8.0}),
        ("rate(grows[4m])", {(): 8.0 / 240}),
        ("1 - sum(x) / sum(x)", {(): 0.0}),
        ("histogram_quantile(0.5, b)", {(): 1.5}),
    ],
)
def test_the_expressions_mean_what_prometheus_says(
    expression: str, value: dict[tuple[tuple[str, str], ...], float]
) -> None:
    store = Store()
    for minute in range(11):
        time = minute * MINUTE
        store.add(labels_of("x", a="1"), time, 3)
        store.add(labels_of("x", a="2"), time, 5)
        store.add(labels_of("y", a="2"), time, 2)
        store.add(labels_of("grows"), time, 2.0 * minute if minute < 9 else 2.0 * (minute - 8))
        for bound, count in (("1", 2), ("2", 6), ("+Inf", 8)):
            store.add(labels_of("b", le=bound), time, count)
    found = parse(expression).value(store, 10 * MINUTE)
    assert {tuple(sorted(without_name(labels))): v for labels, v in found.items()} == {
        labels: pytest.approx(v) for labels, v in value.items()
    }
