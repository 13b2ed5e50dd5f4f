"""`loyalnest ctl` at one actor of a running server."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
import trio
import trio.testing
from rich.console import Console

from cli.ctl import tables
from cli.ctl.actors import _follow, _let_go, _line
from cli.ctl.server import Server
from cli.ctl.tree import _table
from cli.errors import CommandFailed
from tests.integration.cli.program import PATIENT, TIMEOUT_S, started
from tests.integration.cli.test_ctl import SERVE, WHY, ctl, told

JOURNAL = "loyalnest/platform/journal"
IDLE = "loyalnest/domains/points/expiry"
LOOK_EVERY_S = 0.2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a server serves from."""
    folder = tmp_path_factory.mktemp("ctl-actors")
    with started(*SERVE, cwd=folder, **PATIENT) as server:
        server.url()
        yield folder


def test_an_actor_is_suspended_seen_to_be_and_resumed(folder: Path) -> None:
    assert told(folder, "stats") == []
    assert ctl(folder, "stats").out == "no actor is suspended or traced\n"
    done = ctl(folder, "suspend", "core.merchants", "--for", "10m", *WHY)
    assert re.search(r"merchants is suspended for (600|5\d\d) s more; 0 unread of", done.out)
    (line,) = (line for line in ctl(folder, "tree").out.splitlines() if "suspended" in line)
    assert line.split()[:3] == ["merchants", "Merchants", "suspended"]
    assert re.search(r"for (600|5\d\d) s more", ctl(folder, "stats").out)
    facts = ctl(folder, "stats", "core.merchants").out
    assert "Merchants at loyalnest/domains/core/merchants" in facts
    assert "no" in ctl(folder, "stats", JOURNAL).out
    done = ctl(folder, "resume", "core.merchants", *WHY)
    assert "reads its messages" in done.out
    assert told(folder, "stats") == []


def test_what_is_held_goes_on_when_the_time_is_up(folder: Path) -> None:
    done = ctl(folder, "suspend", "core.merchants", "--for", "1s", "--hold", *WHY)
    assert (done.code, done.err) == (0, "")
    assert "reads its messages" in done.out
    assert told(folder, "stats") == []


def test_a_trace_shows_what_comes_and_goes_until_it_has_all_its_events(folder: Path) -> None:
    done = ctl(folder, "trace", JOURNAL, "--events", "4", *WHY)
    assert (done.code, done.err) == (0, "")
    assert "received Append" in done.out
    assert "handled" in done.out
    assert done.out.splitlines()[-1] == "4 events; it has all its events"
    assert "\x1b" not in done.out
    lines = ctl(folder, "trace", JOURNAL, "--events", "3", *WHY, "--json").out.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3]


def seen(folder: Path, wanted: Callable[[], bool]) -> bool:
    """Whether it comes to be so. What a killed command held is let go after ten seconds."""
    end = time.monotonic() + TIMEOUT_S
    while not wanted():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


@pytest.mark.parametrize(
    ("number", "code", "by"),
    [(signal.SIGINT, 130, "cli"), (signal.SIGKILL, -signal.SIGKILL, "system")],
)
def test_an_actor_is_let_go_when_the_command_that_traces_it_is_ended(
    folder: Path, number: signal.Signals, code: int, by: str
) -> None:
    def traced() -> bool:
        return [item["address"] for item in told(folder, "stats")] == [IDLE]

    def ended() -> bool:
        (entry,) = told(folder, "audit", "--platform", "--limit", "1")
        return bool(entry["action"] == "actor.end_trace" and entry["subject"].startswith(by))

    with started("ctl", "trace", IDLE, "--for", "10m", *WHY, cwd=folder) as command:
        assert seen(folder, traced)
        command.send(number)
        assert command.wait() == code
        assert "Traceback" not in command.err
    assert seen(folder, lambda: told(folder, "stats") == [])
    assert seen(folder, ended)


def test_state_is_shown_and_replaced_where_that_is_allowed(folder: Path) -> None:
    done = ctl(folder, "state", "points.accounts")
    assert done.out.startswith("Entities at loyalnest/domains/points/accounts; replaceable: idle_s")
    found = told(folder, "state", "points.accounts", "--set", "idle_s=30", *WHY)
    assert found["state"]["idle_s"] == 30
    kept = told(folder, "state", "auth.keys")
    assert "***" in json.dumps(kept["state"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("stats", "nobody"), 1, "404 actor_not_found: there is no such actor"),
        (("suspend", "nobody", *WHY), 1, "actor_not_found"),
        (("suspend", "controls.introspection", *WHY), 1, "would_lock_out"),
        (("suspend", JOURNAL), 2, "Missing option '--reason'"),
        (("trace", JOURNAL, *WHY, "--for", "2h"), 2, "an hour at most"),
        (("trace", JOURNAL, *WHY, "--events", "0"), 2, "not in the range"),
        (("state", "points.accounts", "--set", "idle_s=1"), 2, "--reason"),
        (("state", "points.accounts", "--set", "idle_s", *WHY), 2, "is not NAME=JSON"),
        (("state", "points.accounts", "--set", "idle_s=-1", *WHY), 1, "422 state_refused"),
        (("state", JOURNAL, "--set", "doubt=1", *WHY), 1, "nothing is"),
    ],
)
def test_every_error_is_one_line(
    folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = ctl(folder, *arguments)
    assert (done.code, done.out, len(done.err_lines)) == (code, "", 1), done
    assert said in done.err


async def test_who_breaks_off_before_the_answer_lets_go_of_what_may_be_held() -> None:
    asked: list[str] = []

    class Slow(Server):
        async def asked(self, method: str, *_: object) -> None:
            asked.append(method)
            if method == "PUT":
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_follow, Slow.__new__(Slow), {"actor": "x"}, False)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert asked == ["PUT", "DELETE"]


def test_letting_go_of_a_server_that_is_gone_says_so_and_is_no_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Gone(Server):
        async def asked(self, *_: object) -> None:
            raise CommandFailed("gone")

    gone = Gone.__new__(Gone)
    trio.run(_let_go, gone, "/path", "x")
    assert capsys.readouterr().err == "gone\n"


def test_the_tree_fits_a_narrow_terminal_and_shows_rates_while_it_is_watched() -> None:
    actor = {
        "id": "journal", "address": "a/journal", "kind": "Journal", "state": "running",
        "mailbox_depth": 3, "queue_wait_s": 0.002, "service_s": None, "handled": 70, "failed": 1,
        "restarts": 2, "last_exit": "crashed: " + "x" * 100, "suspended": False, "traced": True,
    }  # fmt: skip
    for rates, width, has, has_not in (
        (None, 200, ("KIND", "LAST EXIT", "HANDLED"), ("PER SECOND",)),
        (None, 80, ("HANDLED",), ("KIND", "LAST EXIT")),
        ({"a/journal": 12.34}, 80, ("PER SECOND", "12.3", "2 ms", "traced"), ("HANDLED",)),
    ):
        console = Console(file=StringIO(), width=width)
        console.print(_table([(1, actor)], rates, width))
        out = console.file.getvalue()  # type: ignore[attr-defined]
        assert [word for word in has if word not in out] == []
        assert [word for word in has_not if word in out] == []
        assert max(map(len, out.splitlines())) <= width
    assert _table([], None, 80).row_count == 0


def test_an_event_is_one_line_without_the_type_of_its_content() -> None:
    event = {
        "at": "2026-11-26T10:20:30.123456Z", "kind": "handled", "message": "Append",
        "outcome": "failed: ValueError", "peer": None, "service_s": 0.0125, "wait_s": None,
        "content": {"$type": "Append", "entry": ["x" * 1_000]},
    }  # fmt: skip
    line = _line(event).plain
    assert line.startswith("10:20:30.123 handled  Append failed: ValueError in 12.5 ms {")
    assert "$type" not in line
    assert len(line) < 400
    durations = (0.0000005, 0.00042, 0.25, 61.0, None)
    assert [tables.duration(each) for each in durations] == [
        "0.5 µs", "420 µs", "250 ms", "61 s", None,
    ]  # fmt: skip
