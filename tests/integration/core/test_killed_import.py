"""An import whose server is killed: it goes on where it was."""

import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.cli.program import PATIENT, TIMEOUT_S, run, started

pytestmark = pytest.mark.long
"""The lease of a job that was killed lasts half a minute."""

ROWS = 4_000
MERCHANT = "shop"


def test_a_killed_import_goes_on_and_counts_each_row_once(tmp_path: Path) -> None:
    rows = "".join(f"c-{n},Customer {n},c{n}@example.com\n" for n in range(ROWS))
    content = ("customer_id,name,email\n" + rows).encode()
    serve = ("serve", "--http-bind", "127.0.0.1:0", "--log-level", "error")
    with started(*serve, cwd=tmp_path, **PATIENT) as server:
        url = server.url()
        owner = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=tmp_path).out.strip()
        platform = run("token", "--role", "platform", cwd=tmp_path).out.strip()
        bearing = {"Authorization": f"Bearer {owner}"}
        client = httpx.Client(base_url=url, headers=bearing, timeout=TIMEOUT_S)
        registered = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
        bearer = {"Authorization": f"Bearer {platform}"}
        answer = client.post("/v1/admin/merchants", json=registered, headers=bearer)
        assert answer.status_code == 201, answer.text
        begun = client.post("/v1/imports", json={"kind": "customers"}).json()
        path = f"/v1/imports/{begun['import_id']}"
        csv = {"Content-Type": "text/csv"}
        assert client.put(f"{path}/parts/0", content=content, headers=csv).status_code == 200
        assert client.post(f"{path}/start").status_code == 202
        done = _followed(client, path, lambda shown: shown["rows"]["read"] > 0)
        assert done["state"] == "running"
        server.send(signal.SIGKILL)
        server.wait()
    with started(*serve, cwd=tmp_path, **PATIENT) as server:
        client.base_url = httpx.URL(server.url())
        done = _followed(client, path, lambda shown: shown["finished_at"] is not None)
        expected = {"read": ROWS, "new": ROWS, "changed": 0, "unchanged": 0, "refused": 0}
        assert (done["state"], done["rows"]) == ("done", expected)
        assert done["done_bytes"] == done["size_bytes"] == len(content)
        client.close()


def _followed(client: httpx.Client, path: str, until: Any) -> Any:
    end = time.monotonic() + TIMEOUT_S
    while not until(shown := client.get(path).json()):
        assert time.monotonic() < end, f"the import stays at {shown}"
        time.sleep(0.1)
    return shown
