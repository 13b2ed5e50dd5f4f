"""A real program that is killed in the middle of a broadcast, again and again."""

import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.cli.program import PATIENT, Running, run, started
from tests.integration.outgoing.test_smtp import Inbox, serving

pytestmark = pytest.mark.long
"""A job that was killed comes back after several seconds of real time."""

MERCHANT = "shop"
MEMBERS = 300
KILLS = 3
RESUMED_S = 18.0
"""It takes several seconds. One that waited for a usual lease would take half a minute."""

CUSTOMERS_AT_ONCE = 100
TIMEOUT_S = 120.0
LOOK_S = 0.05

COUNT = "SELECT state, count(*) FROM campaign_deliveries GROUP BY state"
OPEN_STEPS = "SELECT count(*) FROM campaign_steps WHERE ended_at IS NULL"


def test_a_broadcast_survives_kills_and_nobody_gets_a_second_mail(tmp_path: Path) -> None:
    inbox = Inbox()
    with serving(inbox) as port:
        serve = (
            "serve",
            "--http-bind",
            "127.0.0.1:0",
            "--log-level",
            "error",
            "--smtp-url",
            f"smtp://127.0.0.1:{port}?plain=yes",
        )
        with started(*serve, cwd=tmp_path, **PATIENT) as server:
            campaign_id = begin(tmp_path, server)
            wait_for_mail(inbox, 1)
            kill(server)
        for _ in range(KILLS - 1):
            known = len(inbox.taken)
            began = time.monotonic()
            with started(*serve, cwd=tmp_path, **PATIENT) as server:
                server.url()
                wait_for_mail(inbox, known + 1)
                assert time.monotonic() - began < RESUMED_S
                kill(server)
        with started(*serve, cwd=tmp_path, **PATIENT) as server:
            client = client_of(tmp_path, server)
            told = followed(client, campaign_id)
    ended = told["sent"] + told["unknown"] + told["failed"] + told["suppressed"]
    assert (told["recipients"], ended) == (MEMBERS, MEMBERS)
    assert told["unknown"] <= 20 * KILLS
    receivers = [str(mail["To"]) for mail in inbox.taken]
    assert len(set(receivers)) == len(receivers)
    assert told["sent"] <= len(receivers) <= told["sent"] + told["unknown"]
    with sqlite3.connect(tmp_path / "data" / "loyalnest.db") as database:
        assert database.execute(OPEN_STEPS).fetchone()[0] == 0
        counts = dict(database.execute(COUNT).fetchall())
    assert counts["sent"] == told["sent"]


def client_of(folder: Path, server: Running) -> httpx.Client:
    arguments = ("token", "--merchant", MERCHANT, "--role", "owner")
    owner = run(*arguments, cwd=folder).out.strip()
    headers = {"Authorization": f"Bearer {owner}"}
    return httpx.Client(base_url=server.url(), headers=headers, timeout=TIMEOUT_S)


def begin(folder: Path, server: Running) -> str:
    """A merchant with customers, and a broadcast to them that has just been started."""
    client = client_of(folder, server)
    platform = run("token", "--role", "platform", cwd=folder).out.strip()
    registered = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
    bearer = {"Authorization": f"Bearer {platform}"}
    answer = client.post("/v1/admin/merchants", json=registered, headers=bearer)
    assert answer.status_code == 201, answer.text
    rows = "".join(f"c-{n},Customer {n},c{n}@example.com,yes\n" for n in range(MEMBERS))
    content = ("customer_id,name,email,email_consent\n" + rows).encode()
    begun = client.post("/v1/imports", json={"kind": "customers"}).json()
    path = f"/v1/imports/{begun['import_id']}"
    csv = {"Content-Type": "text/csv"}
    assert client.put(f"{path}/parts/0", content=content, headers=csv).status_code == 200
    assert client.post(f"{path}/start").status_code == 202
    looked(lambda: client.get(path).json()["finished_at"] is not None)
    mail = {"channel": "email", "subject": "News", "body": "Dear {{ customer.name }}"}
    body = {"name": "News", "kind": "broadcast", "broadcast": {"content": mail}}
    campaign_id = str(client.post("/v1/campaigns", json=body).json()["campaign_id"])
    assert client.post(f"/v1/campaigns/{campaign_id}/start").status_code == 200
    client.close()
    return campaign_id


def followed(client: httpx.Client, campaign_id: str) -> Any:
    """The figures of the broadcast, once it is over."""
    path = f"/v1/campaigns/{campaign_id}/stats"
    looked(lambda: client.get(path).json()["deliveries"]["ended_at"] is not None)
    told = client.get(path).json()["deliveries"]
    client.close()
    return told


def wait_for_mail(inbox: Inbox, count: int) -> None:
    looked(lambda: len(inbox.taken) >= count)


def kill(server: Running) -> None:
    server.send(signal.SIGKILL)
    server.wait()


def looked(condition: Any) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(LOOK_S)
