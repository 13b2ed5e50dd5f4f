"""What clients are told when a domain is full, slow, down or broken."""

from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from structlog.testing import capture_logs

from actors.auth.messages import Role
from actors.core.messages import MERCHANTS
from actors.points.deferral_messages import Defer, Deferral, DeferralStatus, FoundDeferrals
from actors.points.messages import (
    ACCOUNTS,
    DEFERRALS,
    QUERIES,
    AccountKey,
    Balance,
    GetBalance,
    Receipt,
)
from config.policies import POINTS
from runtime import (
    Actor,
    ActorDown,
    ChildSpec,
    Entities,
    MailboxFull,
    MailboxSpec,
    Outcome,
    Overflow,
    TerminateChild,
)
from runtime.journal import JOURNAL, Append
from runtime.policies import ForcedState
from runtime.storage import StorageUnavailable
from runtime.storage.errors import StorageRejected
from runtime.telemetry import Metrics
from supervisors.application import DOMAINS
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    PATIENCE_S,
    Behaviour,
    Stub,
    eventually,
    outcome_of,
    patient_policies,
    patient_settings,
    problem_of,
    running_stubs,
    running_tree,
    stub,
)

pytestmark = pytest.mark.slow

BALANCE = f"/v1/customers/{CUSTOMER}/balance"
ACCOUNT = AccountKey(MERCHANT, CUSTOMER)
DEADLINE_S = 0.2
BEGUN_S = 3.0
"""A deadline before which what was asked has begun."""

AT_ONCE_S = 15.0
"""Without what is tested it would take a minute at least."""


def accounts(behaviour: Behaviour, **mailbox: Any) -> ChildSpec:
    spec = MailboxSpec(**mailbox)
    return ChildSpec(
        "accounts",
        lambda: Entities(ACCOUNTS, lambda _key: Stub(behaviour), mailbox=spec),
        name=ACCOUNTS,
    )


async def forever(_actor: Actor, _message: Any) -> object:
    await trio.sleep_forever()


async def test_a_full_mailbox_is_503_with_a_time_to_come_back(tmp_path: Path) -> None:
    full = accounts(forever, capacity=1, overflow=Overflow.REJECT)
    async with running_stubs(tmp_path, [full]) as api, trio.open_nursery() as nursery:
        answers: list[httpx.Response] = []

        async def earn() -> None:
            answers.append(await api.earn())
            nursery.cancel_scope.cancel()

        for _ in range(3):
            nursery.start_soon(earn)
    answer = answers[0]
    assert outcome_of(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"


async def test_a_slow_answer_is_504_and_may_have_happened(tmp_path: Path) -> None:
    settings = patient_settings(deadline_s=BEGUN_S)
    async with running_stubs(tmp_path, [accounts(forever)], settings) as api:
        began = trio.current_time()
        answer = await api.earn()
        assert outcome_of(answer) == (504, "timeout_outcome_unknown")
        assert trio.current_time() - began < AT_ONCE_S


async def test_what_was_never_begun_is_504_and_did_not_happen(tmp_path: Path) -> None:
    settings = patient_settings(deadline_s=DEADLINE_S)
    go = trio.Event()

    async def busy(_actor: Actor, _message: Any) -> object:
        await go.wait()
        return None

    async with running_stubs(tmp_path, [accounts(busy)], settings) as api:
        api.system.entities(ACCOUNTS).ref(ACCOUNT).tell(GetBalance())
        answer = await api.earn()
        assert outcome_of(answer) == (504, "timeout_not_started")
        go.set()


async def test_a_domain_that_is_down_takes_only_its_own_routes_along(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.system.ref(DOMAINS).ask(TerminateChild("points"))
        began = trio.current_time()
        for answer in (
            await api.earn(),
            await api.ask("GET", BALANCE),
            await api.ask("GET", "/v1/points/verify"),
        ):
            assert outcome_of(answer) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"
        assert trio.current_time() - began < AT_ONCE_S
        assert (await api.ask("GET", "/v1/customers")).status_code == 200
        assert (await api.ask("GET", "/v1/products")).status_code == 200

        async def is_unready() -> bool:
            return (await api.client.get("/health/ready")).status_code == 503

        await eventually(is_unready)
        assert (await api.client.get("/health/live")).status_code == 200
        summary = (await api.ask("GET", "/health", role=Role.PLATFORM)).json()
        assert summary["status"] == "unready"
        conditions = {domain["name"]: domain["condition"] for domain in summary["domains"]}
        assert (conditions["points"], conditions["core"]) == ("down", "up")


async def test_an_actor_that_crashes_leaves_the_outcome_open(tmp_path: Path) -> None:
    async def crash(_actor: Actor, _message: Any) -> object:
        raise RuntimeError("secret of the house")

    async with running_stubs(tmp_path, [accounts(crash)]) as api:
        answer = await api.earn()
        assert outcome_of(answer) == (503, "interrupted_outcome_unknown")
        assert "secret" not in answer.text


async def test_an_outcome_that_is_open_stays_so_when_asking_again_is_turned_away(
    tmp_path: Path,
) -> None:
    """The breaker of the database opens with the commit that nobody knows of, say."""
    errors = [
        ActorDown(JOURNAL, Append(()), outcome=Outcome.UNKNOWN),
        StorageRejected("it failed too often", 1.0),
    ]

    async def fail(actor: Actor, _message: Any) -> object:
        actor.envelope.fail(errors.pop(0))
        return None

    async with running_stubs(tmp_path, [accounts(fail)]) as api:
        body = {"customer_id": CUSTOMER, "amount": 5, "reason": "a cake"}
        answer = await api.ask("POST", "/v1/points/redeem", json=body, key="k-1")
        assert errors == []
        assert outcome_of(answer) == (503, "interrupted_outcome_unknown")


@pytest.mark.parametrize("opened", [False, True])
async def test_an_earning_whose_outcome_is_open_is_put_off_where_its_domain_is_given_a_rest(
    tmp_path: Path, opened: bool
) -> None:
    """Only asking again was turned away; it is posted once, as it has a key."""
    policies = patient_policies(Metrics().policies)
    asked, put_off = count(1), list[Defer]()

    async def fail(actor: Actor, message: Any) -> object:
        next(asked)
        if opened:
            breaker = policies[POINTS].breaker
            assert breaker is not None
            breaker.force(ForcedState.OPEN)
        actor.envelope.fail(ActorDown(ACCOUNTS, message, outcome=Outcome.UNKNOWN))
        return None

    async def keep(actor: Actor, message: Any) -> object:
        if not isinstance(message, Defer):
            return FoundDeferrals((None,), away=False)
        put_off.append(message)
        now = actor.system.clock.now()
        return (Deferral("deferral-1", CUSTOMER, DeferralStatus.QUEUED, now),)

    stubs = [accounts(fail), stub(DEFERRALS, keep)]
    async with running_stubs(tmp_path, stubs, policies=policies) as api:
        answer = await api.earn(key="k-1")
    if not opened:
        assert outcome_of(answer) == (503, "interrupted_outcome_unknown")
        assert (next(asked), put_off) == (3, [])
        return
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert next(asked) == 2
    ((earning,),) = [each.earnings for each in put_off]
    assert (earning.customer_id, earning.earn.idempotency.key) == (CUSTOMER, "k-1")


async def test_what_was_put_off_and_applied_is_told_without_asking_its_domain(
    tmp_path: Path,
) -> None:
    """While others wait, and clients ask again, the domain has better things to do."""

    async def found(actor: Actor, message: Any) -> object:
        now = actor.system.clock.now()
        applied = Receipt("tx_1", CUSTOMER, 1, "earn", 1, Balance(1, 0, 1, 0), now, replayed=True)
        return FoundDeferrals((applied,) * len(message.keys), away=False)

    item = {"kind": "earn", "customer_id": CUSTOMER, "amount": 1, "reason": "x"}
    items = {"items": [item | {"idempotency_key": "k-2"}]}
    async with running_stubs(tmp_path, [stub(DEFERRALS, found)]) as api:
        answer = await api.earn(amount=1, key="k-1")
        batch = await api.ask("POST", "/v1/points/batch", json=items)
    assert (answer.status_code, answer.json()["transaction_id"]) == (200, "tx_1")
    assert answer.headers["idempotency-replayed"] == "true"
    (told,) = batch.json()["items"]
    assert (told["status"], told["replayed"]) == (200, True)
    assert told["result"]["transaction_id"] == "tx_1"


async def test_a_store_that_is_away_is_503(tmp_path: Path) -> None:
    async def no_store(actor: Actor, _message: Any) -> object:
        actor.envelope.fail(StorageUnavailable("the disk is on fire"))
        return None

    async with running_stubs(tmp_path, [stub(QUERIES, no_store)]) as api:
        answer = await api.ask("GET", "/v1/points/earn-rule?currency=USD")
        assert outcome_of(answer) == (503, "storage_unavailable")
        assert "fire" not in answer.text


async def test_an_answer_nobody_foresaw_is_500_without_its_insides(tmp_path: Path) -> None:
    async def nonsense(_actor: Actor, _message: Any) -> object:
        return object()

    async with running_stubs(tmp_path, [stub(MERCHANTS, nonsense)]) as api:
        with capture_logs() as logs:
            answer = await api.ask("GET", "/v1/merchant")
        problem = problem_of(answer)
        assert (problem["status"], problem["code"]) == (500, "internal_error")
        assert "object" not in answer.text
        (failure,) = [line for line in logs if line["event"] == "request_failed"]
        assert failure["trace_id"] == problem["trace_id"]
        assert isinstance(failure["exc_info"], AttributeError)


async def test_a_group_of_foreseen_errors_is_answered_like_the_gravest(tmp_path: Path) -> None:
    async def group(actor: Actor, message: Any) -> object:
        full = MailboxFull("a", message, "mailbox full")
        away = StorageUnavailable("away")
        actor.envelope.fail(ExceptionGroup("two", [full, ExceptionGroup("one", [away])]))
        return None

    async with running_stubs(tmp_path, [stub(MERCHANTS, group)]) as api:
        assert (await api.ask("GET", "/v1/merchant")).status_code == 503


async def test_a_group_with_an_unforeseen_error_is_500(tmp_path: Path) -> None:
    async def group(actor: Actor, message: Any) -> object:
        full = MailboxFull("a", message, "mailbox full")
        actor.envelope.fail(ExceptionGroup("two", [full, KeyError("what")]))
        return None

    async with running_stubs(tmp_path, [stub(MERCHANTS, group)]) as api:
        with capture_logs() as logs:
            answer = await api.ask("GET", "/v1/merchant")
        assert outcome_of(answer) == (500, "internal_error")
        assert any(line["event"] == "request_failed" for line in logs)
        assert (await api.client.get("/health/live")).status_code == 200


async def test_work_for_a_client_that_has_gone_is_cancelled(tmp_path: Path) -> None:
    begun, cancelled = trio.Event(), trio.Event()

    async def watched(_actor: Actor, _message: Any) -> object:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with running_stubs(tmp_path, [stub(MERCHANTS, watched)]) as api:
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(api.ask, "GET", "/v1/merchant")
                await begun.wait()
                nursery.cancel_scope.cancel()
            with trio.fail_after(PATIENCE_S / 2):
                await cancelled.wait()

            async def logged() -> bool:
                await trio.lowlevel.checkpoint()
                return any(line.get("status") == 499 for line in logs)

            await eventually(logged)
