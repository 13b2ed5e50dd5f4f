"""Runs over both stores: as the plain definitions say, whole or not at all, and explained."""

from datetime import timedelta
from typing import Any

import pytest
import trio

from actors.core.messages import CUSTOMERS, EraseCustomer
from actors.rfm_analytics.messages import (
    QUERIES,
    RUNS,
    CustomerRfm,
    GetCustomerRfm,
    GetNewestRun,
    ListMembers,
    Members,
    Preview,
    PreviewTerms,
    PutConfig,
    RfmConfig,
    RfmTerms,
    RunState,
    Scores,
    Scoring,
    SegmentRule,
    StartedRun,
    StartRun,
)
from actors.rfm_analytics.steps import Steps
from actors.vocabulary import Idempotency, Refusal
from runtime import host
from tests.integration.rfm_analytics.shops import (
    LOOK_S,
    as_expected,
    counts,
    ended,
    everybody,
    open_shop,
    publish,
    segments,
    start,
)
from tests.trees import MERCHANT, START, Tree, order, running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

OWN = RfmTerms(
    scoring=Scoring.THRESHOLD,
    rules=(
        SegmentRule(segment="spenders", monetary=Scores(4, 5)),
        SegmentRule(segment="regulars", frequency=Scores(2, 5)),
        SegmentRule(segment="others"),
    ),
)


async def kept_of(tree: Tree, customer: str) -> int:
    """Rows about a customer."""
    count = (
        "SELECT (SELECT count(*) FROM rfm_scores WHERE merchant_id = $1 AND customer_id = $2)"
        " + (SELECT count(*) FROM rfm_history WHERE merchant_id = $1 AND customer_id = $2)"
    )
    found: int = await tree.database.fetch_value(count, MERCHANT, customer)
    return found


async def test_of_a_customer_who_is_erased_nothing_is_kept_not_even_by_a_run_under_way(
    store_url: str,
) -> None:
    async with running_tree(store_url, rfm_slice=1) as tree:
        await tree.create("ann", "bob")
        await tree.record([order("o1", 900, "ann"), order("o2", 900, "bob")])
        before = await publish(tree)
        assert await kept_of(tree, "ann") == await kept_of(tree, "bob") == 2
        under_way = await start(tree)
        await tree.system.ref(CUSTOMERS).ask(EraseCustomer(MERCHANT, "ann"))
        assert (await ended(tree, under_way)).state is RunState.PUBLISHED
        with trio.fail_after(120):
            while await kept_of(tree, "ann"):  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
        answer = await tree.system.ref(QUERIES).ask(GetCustomerRfm(MERCHANT, "ann"))
        assert isinstance(answer, Refusal), answer
        assert list(await everybody(tree)) == ["bob"]
        assert before.customers == 2
        assert (await publish(tree)).customers == 1


async def put(tree: Tree, terms: RfmTerms) -> RfmConfig | Refusal:
    return await tree.system.ref(RUNS).ask(PutConfig(MERCHANT, terms))


async def preview(tree: Tree, terms: RfmTerms) -> Preview | Refusal:
    return await tree.system.ref(QUERIES).ask(PreviewTerms(MERCHANT, terms))


async def explained(tree: Tree, customer: str) -> CustomerRfm:
    found = await tree.system.ref(QUERIES).ask(GetCustomerRfm(MERCHANT, customer))
    assert isinstance(found, CustomerRfm), found
    return found


async def test_every_customer_is_scored_as_the_definitions_say(store_url: str) -> None:
    async with running_tree(store_url, rfm_slice=4) as tree:
        shop = await open_shop(tree, 1)
        for quintiles, as_of in ((True, START), (False, START), (True, START - timedelta(days=40))):
            terms = RfmTerms(scoring=Scoring.QUINTILE if quintiles else Scoring.THRESHOLD)
            assert isinstance(await put(tree, terms), RfmConfig)
            run = await publish(tree, as_of)
            right = shop.expected(as_of, quintiles=quintiles)
            found = {name: as_expected(scores) for name, scores in (await everybody(tree)).items()}
            assert found == right
            told = await segments(tree)
            assert (told.run_id, told.as_of) == (run.run_id, as_of)
            for each in told.segments:
                members = [one for one in right.values() if one.segment == each.name]
                assert each.customers == len(members)
                assert each.revenue_minor == sum(one.monetary for one in members)
                assert each.orders == sum(one.frequency for one in members)
            assert run.customers == len(right) == told.customers
            assert run.orders == sum(one.frequency for one in right.values())
            assert run.attempts == 1


async def test_a_customer_is_explained_with_the_rule_and_what_was_before(store_url: str) -> None:
    async with running_tree(store_url, rfm_slice=2) as tree:
        await tree.create("ann", "bob", "cyd")
        await tree.record([order("1", 1_000), order("2", 900, "bob")])
        first = await publish(tree)
        unchanged = await publish(tree)
        assert isinstance(await put(tree, OWN), RfmConfig)
        last = await publish(tree)
        ann = await explained(tree, "ann")
        assert (ann.run_id, ann.scores.rule, ann.scores.segment) == (last.run_id, 3, "others")
        assert ann.matched == OWN.rules[2]
        told = [(each.run_id, each.previous_segment, each.segment) for each in ann.history]
        assert told == [(last.run_id, "hibernating", "others"), (first.run_id, None, "hibernating")]
        assert unchanged.run_id not in {each.run_id for each in ann.history}
        cyd = await explained(tree, "cyd")
        assert (cyd.scores.segment, cyd.matched, cyd.scores.recency_score) == (
            "prospect",
            None,
            None,
        )
        nobody = await tree.system.ref(QUERIES).ask(GetCustomerRfm(MERCHANT, "nobody"))
        assert isinstance(nobody, Refusal)
        assert nobody.code == "customer_unknown"


async def test_a_preview_is_what_a_run_makes_of_it(store_url: str) -> None:
    async with running_tree(store_url, rfm_slice=5) as tree:
        await open_shop(tree, 7)
        refused = await preview(tree, OWN)
        assert isinstance(refused, Refusal)
        assert refused.code == "no_segments_yet"
        await publish(tree, START)
        seen = await preview(tree, OWN)
        assert isinstance(seen, Preview)
        assert seen.now == (await segments(tree)).segments
        await put(tree, OWN)
        await publish(tree, START)
        assert (await segments(tree)).segments == seen.segments
        partial = await preview(tree, RfmTerms(rules=OWN.rules[:2]))
        assert isinstance(partial, Refusal)
        assert partial.code == "segments_not_total"


async def test_pages_and_members_stay_those_of_their_run(store_url: str) -> None:
    """A second run moves everybody; who began to read goes on as it was."""
    async with running_tree(store_url, rfm_slice=2) as tree:
        await tree.create("ann", "bob", "cyd", "dan")
        await publish(tree)
        newest = await tree.system.ref(QUERIES).ask(GetNewestRun(MERCHANT))
        assert newest is not None
        assert newest.fresh(START)
        assert not newest.fresh(START + timedelta(hours=49))
        first = ListMembers(MERCHANT, newest.run_id, "prospect", limit=3)
        page = await tree.system.ref(QUERIES).ask(first)
        assert page == Members(("ann", "bob", "cyd"), "cyd")
        await tree.record([order(str(n), 100, name) for n, name in enumerate(("ann", "dan"))])
        await publish(tree)
        rest = ListMembers(MERCHANT, newest.run_id, "prospect", "cyd", 3)
        assert await tree.system.ref(QUERIES).ask(rest) == Members(("dan",), None)
        assert (await counts(tree))["prospect"] == 2
        assert (await counts(tree, newest.run_id))["prospect"] == 4


async def test_there_is_one_run_at_a_time_and_a_key_makes_one_run(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, advance = trio.Event(), Steps.advance

    async def advance_later(self: Steps, place: Any) -> Any:
        await go.wait()
        return await advance(self, place)

    monkeypatch.setattr(Steps, "advance", advance_later)
    async with running_tree(store_url, rfm_slice=1) as tree:
        await tree.create("ann", "bob", "cyd")
        once = Idempotency("key-1", "f")
        runs = tree.system.ref(RUNS)
        first = await runs.ask(StartRun(MERCHANT, None, once))
        assert isinstance(first, StartedRun)
        second = await runs.ask(StartRun(MERCHANT))
        assert isinstance(second, Refusal)
        assert second.code == "run_in_progress"
        again = await runs.ask(StartRun(MERCHANT, None, once))
        assert isinstance(again, StartedRun)
        assert (again.replayed, again.run.run_id) == (True, first.run.run_id)
        go.set()
        await ended(tree, first.run)
        third = await start(tree)
        assert third.run_id != first.run.run_id
        other = await runs.ask(StartRun(MERCHANT, None, Idempotency("key-1", "g")))
        future = await runs.ask(StartRun(MERCHANT, START + timedelta(days=400)))
        refusals = [each.code for each in (other, future) if isinstance(each, Refusal)]
        assert refusals == ["idempotency_key_reused", "invalid_time"]
