"""Texts of a campaign over HTTP, and what their provider tells of them, on both stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from actors.campaign.sending import Providers
from actors.outgoing.http import HttpClient
from actors.outgoing.policies import SMS
from actors.outgoing.sms import SmsAccount, SmsTexter
from actors.referrals.sending import Couriers
from runtime import host
from runtime.policies import Pipeline
from runtime.rotation import RotatingSecret
from runtime.storage import DatabaseHandle
from runtime.tracing import trace_id_of
from supervisors.application import Outside
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    OTHER_CUSTOMER,
    Api,
    eventually,
    running_tree,
)
from tests.stores import patient_pipeline
from tests.twilio import ACCOUNT, PUBLIC_URL, TOKEN, Twilio, call_back, playing_twilio

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-00"
PEOPLE = (CUSTOMER, OTHER_CUSTOMER)


async def ok(api: Api, method: str, path: str, json: Any = None, **options: Any) -> Any:
    answer = await api.ask(method, path, json=json, **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def started(api: Api) -> str:
    """The path of a campaign that sends texts to two people."""
    for number, person in enumerate(PEOPLE):
        await ok(api, "PATCH", f"/v1/customers/{person}", {"phone": f"+4179123456{number}"})
        await ok(api, "PUT", f"/v1/customers/{person}/consents/sms", {"granted": True})
    content = {"channel": "sms", "body": "Peonies are here"}
    audience = {"kind": "list", "names": PEOPLE}
    body = {"name": "News", "kind": "broadcast", "broadcast": {"content": content}}
    made = await ok(api, "POST", "/v1/campaigns", {**body, "audience": audience})
    path = f"/v1/campaigns/{made['campaign_id']}"
    await ok(api, "POST", f"{path}/start", headers={"traceparent": TRACEPARENT})
    return path


@asynccontextmanager
async def serving(tmp_path: Path, url: str, twilio: Twilio) -> AsyncIterator[Api]:
    """The application, with a provider of texts that can reach it."""
    token, client = RotatingSecret(TOKEN), HttpClient("sms")
    account = SmsAccount(url=twilio.url, account=ACCOUNT, sender="+15550001111", token=token)
    texter = SmsTexter(account, Pipeline("sms", SMS, Random(1)), client)
    outside = Outside(
        couriers=Couriers(texter=texter, public_url=PUBLIC_URL),
        providers=Providers(texter=texter, callback_url=PUBLIC_URL),
        signed=account.signed,
    )
    handle = DatabaseHandle(patient_pipeline())
    try:
        async with running_tree(tmp_path, handle=handle, url=url, outside=outside) as api:
            yield api
    finally:
        with trio.CancelScope(shield=True):
            await client.close()


async def test_a_text_of_a_campaign_is_delivered_when_its_provider_says_so(
    tmp_path: Path, store_url: str
) -> None:
    """The provider gets it under the trace of the request that started the campaign: it led through
    the actor, the outbox, its consumer, and the jobs that froze the audience and sent."""
    async with playing_twilio() as twilio, serving(tmp_path, store_url, twilio) as api:
        path = await started(api)

        async def states() -> dict[str, Any]:
            answer = await api.ask("GET", f"{path}/deliveries")
            items = answer.json().get("items", ())
            return {each["customer_id"]: (each["state"], each["reason"]) for each in items}

        async def all_sent() -> bool:
            return await states() == dict.fromkeys(PEOPLE, ("sent", None))

        await eventually(all_sent)
        sids = {each["to"][-1]: each["sid"] for each in twilio.messages}
        assert {trace_id_of(each) for each in twilio.traces} == {TRACE}
        callback = f"{PUBLIC_URL}/v1/webhooks/twilio/status?merchant_id={MERCHANT}"
        assert {each["callback"] for each in twilio.messages} == {callback}
        for number, word, code in (
            ("0", "sent", ""),
            ("0", "delivered", ""),
            ("0", "delivered", ""),
            ("1", "undelivered", "30003"),
        ):
            form = {"MessageSid": sids[number], "MessageStatus": word, "ErrorCode": code}
            answer = await call_back(api.client, MERCHANT, **form)
            assert answer.status_code == 200, answer.text

        async def told() -> bool:
            return await states() == {
                CUSTOMER: ("delivered", None),
                OTHER_CUSTOMER: ("failed", "undelivered: 30003"),
            }

        await eventually(told)
