"""`loyalnest ctl` against a running server."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.auth.messages import Role
from cli.ctl.tree import Rates
from cli.tokens import new_token
from main import main
from tests.integration.cli.program import (
    LOOK_S,
    PATIENT,
    TIMEOUT_S,
    Finished,
    Running,
    run,
    started,
)

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
MERCHANT = "flora"
WHY = ("--reason", "a drill")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ctl")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """Where a server serves from the folder, with chaos allowed."""
    with started(*SERVE, cwd=folder, LOYALNEST_CHAOS_ALLOWED="yes", **PATIENT) as server:
        url = server.url()
        body = {"merchant_id": MERCHANT, "name": "Flora", "currency": "EUR"}
        bearer = new_token(folder / "data", Role.PLATFORM, None)
        headers = {"authorization": f"Bearer {bearer}"}
        reply = httpx.post(
            f"{url}/v1/admin/merchants", json=body, headers=headers, timeout=TIMEOUT_S, verify=False
        )
        assert reply.status_code == 201
        yield url


def ctl(folder: Path, *arguments: str) -> Finished:
    """What the program does, in this process: it takes a second to start."""
    out, err = StringIO(), StringIO()
    with (
        chdir(folder),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("sys.argv", ["loyalnest", "ctl", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def told(folder: Path, *arguments: str) -> Any:
    done = ctl(folder, *arguments, "--json")
    assert done.code == 0, done.err
    assert done.err == ""
    return json.loads(done.out)


def verified(folder: Path, url: str) -> int:
    bearer = new_token(folder / "data", Role.OWNER, MERCHANT)
    headers = {"authorization": f"Bearer {bearer}"}
    return httpx.get(
        f"{url}/v1/points/verify", headers=headers, timeout=TIMEOUT_S, verify=False
    ).status_code


def switches_in_audit(folder: Path, *states: str) -> Any:
    """The newest entries, once they are these: the log is told of what was done after it."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        entries = told(folder, "audit", "--platform", "--limit", str(len(states)))
        found = [(entry["after"] or {}).get("state") for entry in entries]
        if found == list(states):
            return entries
        assert time.monotonic() < end, found
        time.sleep(LOOK_S)


def test_a_breaker_is_forced_open_seen_and_let_go(folder: Path, url: str) -> None:
    found = told(folder, "breaker", "points", "forced_open", *WHY, "--for", "10m")
    assert found["breaker"]["state"] == "forced_open"
    assert verified(folder, url) == 503
    done = ctl(folder, "switches")
    assert "forced_open" in done.out
    assert "a drill" in done.out
    assert "\x1b" not in done.out
    (line,) = (line for line in ctl(folder, "policies").out.splitlines() if "forced_open" in line)
    assert line.split()[0] == "points"
    health = told(folder, "health")
    assert health["switches"][0]["state"]["state"] == "forced_open"
    told(folder, "breaker", "points", "automatic", *WHY)
    assert verified(folder, url) == 200
    entries = switches_in_audit(folder, "automatic", "forced_open")
    assert entries[0]["subject"].startswith("cli")
    assert ctl(folder, "audit", "--verify").out.splitlines()[-1] == "clean"


def test_faults_are_made_and_ended(folder: Path, url: str) -> None:
    found = told(folder, "chaos", "points", "error", "--share", "0.5", *WHY)
    assert found["chaos"] == {"fault": "error", "share": 0.5, "delay_s": 0.0, "spread_s": 0.0}
    assert told(folder, "chaos", "points", "off", *WHY)["chaos"] is None


def test_priorities_are_shed_and_operators_get_through(folder: Path, url: str) -> None:
    assert "reads, writes" in ctl(folder, "shed", "reads", "writes", *WHY).out
    assert verified(folder, url) == 503
    assert "nothing" in ctl(folder, "shed", *WHY).out
    assert verified(folder, url) == 200


def test_health_is_a_table_for_people(folder: Path, url: str) -> None:
    done = ctl(folder, "health")
    assert done.code == 0
    assert done.out.startswith("ok  version ")
    assert {"database", "points", "admin_core"} <= {
        line.split()[0] for line in done.out.splitlines() if line.strip()
    }


def test_the_tree_is_shown_with_everybody_in_their_place(folder: Path, url: str) -> None:
    lines = ctl(folder, "tree").out.splitlines()
    (journal,) = (line for line in lines if line.strip().startswith("journal"))
    (platform,) = (line for line in lines if line.split()[:1] == ["platform"])
    assert journal.split()[1:3] == ["Journal", "running"]
    assert lines.index(journal) > lines.index(platform)
    assert journal.index("journal") > platform.index("platform")
    top = told(folder, "tree")
    assert {actor["id"] for actor in top} == {"platform", "domains", "edge"}


def test_the_rate_of_an_actor_is_what_it_handled_since_the_last_look() -> None:
    def actors(**handled: int) -> list[dict[str, Any]]:
        return [{"address": name, "handled": count} for name, count in handled.items()]

    rates = Rates()
    assert rates.look(actors(a=5, b=9), 10.0) == {}
    assert rates.look(actors(a=15, b=3, c=1), 12.0) == {"a": 5.0, "b": 0.0}
    assert rates.look(actors(a=15), 12.0) == {}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("breaker", "nobody", "forced_open", *WHY), 1, "there is no such dependency"),
        (("breaker", "controls", "forced_open", *WHY), 1, "would_lock_out"),
        (("breaker", "points", "open", *WHY), 2, "'open' is not one of"),
        (("breaker", "points", "disabled"), 2, "Missing option '--reason'"),
        (("breaker", "points", "disabled", *WHY, "--for", "soon"), 2, "is not a duration"),
        (("chaos", "points", "error", "--share", "2", *WHY), 2, "not in the range"),
        (("shed", "probes", *WHY), 2, "'probes' is not one of"),
        (("audit", "--merchant", "no good"), 1, "validation_failed"),
        (("health", "--data-dir", "elsewhere"), 1, "no server runs with the data directory"),
        (("health", "--server", "http://127.0.0.1:9"), 1, "Connection refused"),
        (("health", "--server", "ftp://"), 1, "not an HTTP address"),
    ],
)
def test_every_error_is_one_line(
    folder: Path, url: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = ctl(folder, *arguments)
    assert (done.code, done.out, len(done.err_lines)) == (code, "", 1), done
    assert said in done.err


def test_a_key_of_another_directory_is_told(folder: Path, url: str, tmp_path: Path) -> None:
    done = run("ctl", "policies", "--server", url, cwd=tmp_path)
    assert (done.code, len(done.err_lines)) == (1, 1)
    assert "use the server's --data-dir" in done.err


def test_a_server_that_ended_is_not_found_any_more(tmp_path: Path) -> None:
    def ended(server: Running) -> None:
        server.url()
        assert (tmp_path / "data" / "server.json").exists()
        server.send(signal.SIGTERM)
        assert server.wait() == 0

    with started(*SERVE, cwd=tmp_path) as server:
        ended(server)
    assert not (tmp_path / "data" / "server.json").exists()
    assert "no server runs" in run("ctl", "health", cwd=tmp_path).err
