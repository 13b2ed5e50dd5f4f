"""Referrals over HTTP, on both stores, with a provider of texts on a socket of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
import trio

from actors.auth.messages import Role
from actors.outgoing.http import HttpClient
from actors.outgoing.sms import SmsAccount, SmsTexter
from actors.outgoing.twilio import signature_of, status_url
from actors.referrals.sending import Couriers
from config.policies import SMS
from config.policy_loading import default_policies
from runtime import host
from runtime.policies import BreakerState, Pipeline, PolicyMetrics
from runtime.rotation import RotatingSecret
from runtime.storage import AcrossMerchants, DatabaseHandle
from supervisors.application import Outside
from supervisors.policies import declared
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    OTHER_CUSTOMER,
    RIVAL,
    Api,
    eventually,
    outcome_of,
    running_tree,
)
from tests.stores import patient_pipeline
from tests.twilio import ACCOUNT, PUBLIC_URL, TOKEN, Twilio, call_back, playing_twilio

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

NUMBER = "+41791234567"
INVITATIONS = 20


@asynccontextmanager
async def serving(
    tmp_path: Path, url: str, twilio: Twilio, pipeline: Pipeline | None = None
) -> AsyncIterator[tuple[Api, DatabaseHandle]]:
    token = RotatingSecret(TOKEN)
    account = SmsAccount(url=twilio.url, account=ACCOUNT, sender="+15550001111", token=token)
    pipeline = pipeline if pipeline is not None else sms_pipeline()
    client = HttpClient(SMS)
    texter = SmsTexter(account, pipeline, client)
    outside = Outside(
        couriers=Couriers(texter=texter, public_url=PUBLIC_URL), signed=account.signed
    )
    handle = DatabaseHandle(patient_pipeline())
    try:
        async with running_tree(tmp_path, handle=handle, url=url, outside=outside) as api:
            yield api, handle
    finally:
        with trio.CancelScope(shield=True):
            await client.close()


def sms_pipeline(**knobs: Any) -> Pipeline:
    """The one of the settings, with other figures where a test has no time."""
    patience = dict.fromkeys(("deadline_s", "attempt_s", "wait_s", "breaker_slow_s"), 60.0)
    settings = attrs.evolve(default_policies()[SMS], **patience | knobs)
    return declared({SMS: settings}, Random(1), PolicyMetrics())[SMS]


async def ok(api: Api, method: str, path: str, json: Any = None, **options: Any) -> Any:
    answer = await api.ask(method, path, json=json, **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def state_of(api: Api, referral_id: str) -> str:
    return str((await ok(api, "GET", f"/v1/referrals/{referral_id}"))["state"])


async def test_a_friend_is_brought_and_both_are_rewarded(tmp_path: Path, lasting_url: str) -> None:
    async with playing_twilio() as twilio, serving(tmp_path, lasting_url, twilio) as (api, handle):
        program = {"return_days": 0, "advocate_points": 70, "friend_points": 30}
        for _ in range(2):
            shown = await ok(api, "PUT", "/v1/referrals/program", program)
            assert (shown["version"], shown["program"]["advocate_points"]) == (1, 70)
        customer = api.token(Role.CUSTOMER)
        body = {"channel": "sms", "to": NUMBER}
        invited = await api.ask("POST", "/v1/referrals", json=body, token=customer, key="k-1")
        assert invited.status_code == 202
        again = await api.ask("POST", "/v1/referrals", json=body, token=customer, key="k-1")
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == invited.json()
        referral_id, code = invited.json()["referral_id"], invited.json()["code"]

        async def sent() -> bool:
            return len(twilio.messages) == 1 and await state_of(api, referral_id) == "invited"

        await eventually(sent)
        assert code in twilio.messages[0]["body"]
        sid = twilio.messages[0]["sid"]
        await _statuses(api, handle, sid, referral_id)
        await _claim_and_order(api, code, referral_id)
        await _only_the_own(api, referral_id)


async def _statuses(api: Api, handle: DatabaseHandle, sid: str, referral_id: str) -> None:
    """Forged ones change nothing, repeated and late ones take nothing back."""
    before = await handle.fetch(AcrossMerchants("SELECT * FROM text_statuses"))
    for signature in ("", "x", signature_of("wrong", status_url(PUBLIC_URL, MERCHANT), ())):
        forged = await call_back(
            api.client, MERCHANT, signature=signature, MessageSid=sid, MessageStatus="delivered"
        )
        assert outcome_of(forged) == (403, "signature_invalid")
    assert await handle.fetch(AcrossMerchants("SELECT * FROM text_statuses")) == before == []
    for word, duplicate in (
        ("delivered", False),
        ("sent", False),
        ("delivered", True),
        ("undelivered", False),
    ):
        told = await call_back(
            api.client, MERCHANT, MessageSid=sid, MessageStatus=word, ApiVersion="2010-04-01"
        )
        assert told.json() == {"duplicate": duplicate}
        shown = await ok(api, "GET", f"/v1/referrals/{referral_id}")
        assert shown["messages"][0]["state"] == "delivered"
    foreign = await call_back(api.client, RIVAL, MessageSid=sid, MessageStatus="failed")
    assert foreign.status_code == 200
    assert shown == await ok(api, "GET", f"/v1/referrals/{referral_id}")
    odd = await call_back(api.client, MERCHANT, MessageSid=sid, MessageStatus="teleported")
    assert outcome_of(odd) == (422, "status_unknown")


async def _claim_and_order(api: Api, code: str, referral_id: str) -> None:
    friend = api.token(Role.CUSTOMER, customer_id=OTHER_CUSTOMER)
    own = await api.ask("POST", f"/v1/referrals/{code}/claim", token=api.token(Role.CUSTOMER))
    assert outcome_of(own) == (422, "self_referral")
    claimed = await ok(api, "POST", f"/v1/referrals/{code}/claim", token=friend)
    assert claimed["state"] == "claimed"
    assert claimed["review"] == "pending", "both come from this machine"
    order = {
        "order_id": "o-1",
        "customer_id": OTHER_CUSTOMER,
        "ordered_at": (api.system.clock.now() + timedelta(seconds=1)).isoformat(),
        "currency": "EUR",
        "total_minor": 99,
        "items": 1,
    }
    await ok(api, "POST", "/v1/orders", order)

    async def qualified() -> bool:
        return await state_of(api, referral_id) == "qualified"

    await eventually(qualified)
    assert await api.posted() == await api.posted(OTHER_CUSTOMER) == 0
    queue = await ok(api, "GET", "/v1/referrals?review=true")
    assert [each["referral_id"] for each in queue["items"]] == [referral_id]
    assert queue["items"][0]["flags"] == ["same_ip"]
    decision = {"decision": "approve", "reason": "two flats"}
    path = f"/v1/referrals/{referral_id}/review"
    assert (await api.ask("POST", path, json=decision, role=Role.SUPPORT)).status_code == 403
    await ok(api, "POST", path, decision)

    async def rewarded() -> bool:
        return await state_of(api, referral_id) == "rewarded"

    await eventually(rewarded)
    assert (await api.posted(), await api.posted(OTHER_CUSTOMER)) == (70, 30)
    steps = (await ok(api, "GET", f"/v1/referrals/{referral_id}/steps"))["items"]
    assert [step["state"] for step in steps][-2:] == ["qualified", "rewarded"]
    await ok(api, "POST", path, {"decision": "reverse", "reason": "it was one person"})

    async def reversed_() -> bool:
        return await state_of(api, referral_id) == "reversed"

    await eventually(reversed_)
    assert (await api.posted(), await api.posted(OTHER_CUSTOMER)) == (0, 0)


async def _only_the_own(api: Api, referral_id: str) -> None:
    """Others see nothing of it, and the advocate nothing of who the friend is."""
    rival = api.token(merchant_id=RIVAL)
    path = f"/v1/referrals/{referral_id}"
    assert (await api.ask("GET", path, token=rival)).status_code == 404
    stranger = api.token(Role.CUSTOMER, customer_id="nobody")
    assert (await api.ask("GET", path, token=stranger)).status_code == 404
    for customer, seen in ((CUSTOMER, None), (OTHER_CUSTOMER, OTHER_CUSTOMER)):
        token = api.token(Role.CUSTOMER, customer_id=customer)
        shown = await ok(api, "GET", path, token=token)
        assert (shown["friend_id"], shown["flags"], shown["messages"]) == (seen, [], [])
        listed = await ok(api, "GET", "/v1/referrals", token=token)
        assert len(listed["items"]) == (1 if customer == CUSTOMER else 0)


async def test_a_provider_that_fails_is_not_noticed_by_who_invites(tmp_path: Path) -> None:
    """It answers when all invitations are made, and nothing but errors: each is 202 before, in the
    same words."""
    url = f"sqlite:///{tmp_path}/loyalnest.db"
    async with playing_twilio() as twilio, serving(tmp_path, url, twilio) as (api, handle):
        twilio.holding = trio.Event()
        twilio.fault = lambda _method, _target: (400, {}, {"code": 21211})
        await ok(api, "PUT", "/v1/referrals/program", {"invitations_per_advocate": 500})
        words = set()
        for number in range(INVITATIONS):
            body = {"channel": "sms", "to": f"+4179{number:07d}", "advocate_id": CUSTOMER}
            invited = await api.ask("POST", "/v1/referrals", json=body)
            assert invited.status_code == 202
            words.add(invited.json()["message"])
        assert len(words) == 1
        twilio.holding.set()
        labels = {"channel": "sms", "state": "failed"}
        registry = api.system.metrics.registry

        async def all_counted() -> bool:
            counted = registry.get_sample_value("loyalnest_referral_messages_total", labels) or 0
            assert counted <= INVITATIONS, "none is counted twice"
            return counted == INVITATIONS

        await eventually(all_counted)
        failed = AcrossMerchants(
            "SELECT count(*) FROM referral_messages WHERE state = 'failed' AND detail = '21211'"
        )
        assert await handle.fetch_value(failed) == INVITATIONS, "what is counted is committed"


async def test_a_provider_that_hangs_opens_its_breaker_and_the_queue_waits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/loyalnest.db"
    hasty = sms_pipeline(attempt_s=0.1, breaker_open_s=600.0, breaker_open_max_s=600.0)
    async with (
        playing_twilio() as twilio,
        serving(tmp_path, url, twilio, hasty) as (api, handle),
    ):
        twilio.hangs = True
        for number in range(INVITATIONS):
            body = {"channel": "sms", "to": f"+4179{number:07d}", "advocate_id": CUSTOMER}
            assert (await api.ask("POST", "/v1/referrals", json=body)).status_code == 202

        async def refused() -> bool:
            assert hasty.breaker is not None
            return hasty.breaker.statistics().rejected > 0

        await eventually(refused)
        assert hasty.breaker is not None
        assert hasty.breaker.state is BreakerState.OPEN
        waiting = AcrossMerchants(
            "SELECT count(*) FROM jobs WHERE name = 'referrals.send'"
            " AND state IN ('available', 'retryable', 'running')"
        )
        assert await handle.fetch_value(waiting) == INVITATIONS
        assert twilio.received < INVITATIONS
        assert (await api.ask("GET", "/v1/referrals?limit=1")).status_code == 200


async def test_a_link_is_the_same_every_time_and_leads_to_the_shop(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/loyalnest.db"
    async with playing_twilio() as twilio, serving(tmp_path, url, twilio) as (api, _):
        token = api.token(Role.CUSTOMER)
        first = await ok(api, "POST", "/v1/referrals", {"channel": "link"}, token=token)
        assert first["link"] is None
        program = {"landing_url": "https://flora.example/welcome?code="}
        await ok(api, "PUT", "/v1/referrals/program", program)
        second = await ok(api, "POST", "/v1/referrals", {"channel": "link"}, token=token)
        assert second["code"] == first["code"]
        assert second["link"] == f"https://flora.example/welcome?code={first['code']}"
        other = await api.ask(
            "POST", "/v1/referrals", json={"channel": "link", "advocate_id": "x"}, token=token
        )
        assert outcome_of(other) == (403, "not_your_own")
