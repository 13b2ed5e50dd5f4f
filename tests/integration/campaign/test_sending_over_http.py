"""A broadcast over HTTP, to a real mail server, and the way out of it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.auth.messages import Role
from actors.campaign.sending import Providers
from actors.outgoing.policies import SMTP
from actors.outgoing.smtp import SmtpMailer
from cli.mail_sink import mail_sink
from runtime.policies import Pipeline
from runtime.rotation import RotatingSecret
from supervisors.application import Outside
from tests.integration.gateway.helpers import RIVAL, Api, eventually, outcome_of
from tests.integration.gateway.helpers import running_tree as running_api

pytestmark = [pytest.mark.trio, pytest.mark.slow]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@asynccontextmanager
async def outbox_of(folder: Path) -> AsyncIterator[Outside]:
    """A world with a mail server in it."""
    async with mail_sink(folder / "outbox") as sink:
        pipeline = Pipeline("smtp", SMTP, Random(1))
        mailer = SmtpMailer(RotatingSecret(sink.url), "a@b.example", pipeline, threads_max=2)
        yield Outside(providers=Providers(mailer=mailer))
        await mailer.close()


def broadcast(**content: Any) -> dict[str, Any]:
    mail = {"channel": "email", "subject": "Hi {{ customer.name }}", "body": "Peonies are here"}
    return {"name": "News", "kind": "broadcast", "broadcast": {"content": mail | content}}


async def created(api: Api, body: dict[str, Any]) -> str:
    answer = await api.ask("POST", "/v1/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["campaign_id"])


async def figures(api: Api, campaign_id: str) -> dict[str, Any]:
    answer = await api.ask("GET", f"/v1/campaigns/{campaign_id}/stats")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_broadcast_from_draft_to_mailbox_and_out(tmp_path: Path) -> None:
    async with outbox_of(tmp_path) as outside, running_api(tmp_path, outside=outside) as api:
        person = {"display_name": "Ada", "email": "ada@example.com"}
        answer = await api.ask("PATCH", "/v1/customers/ada", json=person)
        assert answer.status_code == 200, answer.text
        consent = {"granted": True}
        await api.ask("PUT", "/v1/customers/ada/consents/email", json=consent)
        campaign_id = await created(api, broadcast())
        path = f"/v1/campaigns/{campaign_id}"
        assert outcome_of(await api.ask("GET", f"{path}/deliveries"))[0] == 404
        assert (await figures(api, campaign_id))["deliveries"] is None
        assert (await api.ask("POST", f"{path}/start")).status_code == 200

        async def done() -> bool:
            state = (await api.ask("GET", path)).json()["state"]
            return bool(state == "completed")

        await eventually(done)
        told = (await figures(api, campaign_id))["deliveries"]
        assert (told["recipients"], told["sent"], told["suppressed"]) == (2, 1, 1)
        items = (await api.ask("GET", f"{path}/deliveries?state=sent")).json()["items"]
        assert [(item["customer_id"], item["channel"]) for item in items] == [("ada", "email")]
        rival = api.token(Role.OWNER, RIVAL)
        assert outcome_of(await api.ask("GET", f"{path}/deliveries", token=rival))[0] == 404
        [file] = (tmp_path / "outbox").iterdir()
        mail = message_from_bytes(file.read_bytes(), policy=default)
        assert (mail["To"], mail["Subject"]) == ("ada@example.com", "Hi Ada")
        await leave_by(api, str(mail["List-Unsubscribe"]))


async def leave_by(api: Api, header: str) -> None:
    """Looking at the link changes nothing; one click does, again and again."""
    match = re.search(r"<http[^/]*//[^/]*(/v1/unsubscribe\?token=\S+)>", header)
    assert match is not None, header
    link = match[1]
    shown = await api.client.get(link)
    assert (shown.status_code, "<form method" in shown.text) == (200, True)
    assert await consents(api) is True
    click: dict[str, Any] = {"content": "List-Unsubscribe=One-Click", "headers": FORM}
    for _ in range(2):
        assert (await api.client.post(link, **click)).status_code == 200
    assert await consents(api) is False
    forged = link[:-1] + ("0" if link[-1] != "0" else "1")
    assert outcome_of(await api.client.post(forged, **click))[0] == 404


async def consents(api: Api) -> bool:
    customer = (await api.ask("GET", "/v1/customers/ada")).json()
    granted: bool = customer["consents"][0]["granted"]
    return granted


async def test_a_template_with_a_variable_that_there_is_not_is_refused_when_it_is_saved(
    tmp_path: Path,
) -> None:
    async with running_api(tmp_path) as api:
        body = broadcast(body="{{ customer.nmae }}")
        answer = await api.ask("POST", "/v1/campaigns", json=body)
        assert outcome_of(answer) == (422, "invalid_campaign")
        assert "customer.nmae" in answer.json()["detail"]
        birthday = {"month": 2, "day": 30}
        answer = await api.ask("PUT", "/v1/customers/ada/birthday", json=birthday)
        assert outcome_of(answer) == (422, "invalid_birthday")
        birthday = {"month": 2, "day": 29}
        answer = await api.ask("PUT", "/v1/customers/ada/birthday", json=birthday)
        assert answer.json() == {"birthday": birthday}
        answer = await api.ask("PUT", "/v1/customers/nobody/birthday", json=birthday)
        assert outcome_of(answer)[0] == 404
