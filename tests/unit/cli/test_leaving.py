"""How long a process goes on after a signal, in virtual time."""

import signal

import pytest
import trio

from cli.logs import LogWriter
from cli.running import Run
from cli.serve import take_leave
from config import load_settings
from supervisors.health import HealthBoard, Part, Status
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


def process(*, ready: bool) -> Run:
    board = HealthBoard()
    if ready:
        board.domains["core"] = Part("core", required=True, up=True, failures=0)
    writer = LogWriter(hold_s=None)
    writer.close()
    return Run(load_settings({"shutdown_delay_s": "7"}, {}), writer, board=board)


@pytest.mark.parametrize(
    ("number", "ready", "delay_s"),
    [
        (signal.SIGTERM, True, 7.0),
        (signal.SIGTERM, False, 0.0),
        (signal.SIGINT, True, 0.0),
    ],
)
async def test_only_those_who_are_sent_requests_accept_some_more(
    number: signal.Signals, ready: bool, delay_s: float
) -> None:
    run = process(ready=ready)
    seen = []
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_leave, run, number)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        seen.append(run.board.readiness)
    assert seen == [Status.STOPPING]
    assert trio.current_time() - began == pytest.approx(delay_s)
