"""Trouble that repeats is told once, then once a minute, and when it is over."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import trio
from structlog.testing import capture_logs

from runtime.trouble import REMIND_EVERY_S, Passing, Told, Trouble
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

Logged = list[Any]


@pytest.fixture
def logged() -> Iterator[Logged]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def trouble() -> Trouble:
    return Trouble(structlog.get_logger("any"), "store_away", "store_is_back")


def levels(logged: Logged) -> list[str]:
    return [entry["log_level"] for entry in logged]


async def fails_for(trouble: Trouble, seconds: int, error: Exception) -> None:
    for _ in range(seconds):
        trouble.failed(error)
        await trio.sleep(1)


async def test_only_the_first_failure_is_a_warning(trouble: Trouble, logged: Logged) -> None:
    await fails_for(trouble, 10, OSError("no route"))
    assert levels(logged) == ["warning"] + ["debug"] * 9
    assert logged[0] == {"event": "store_away", "error": "no route", "log_level": "warning"}


async def test_there_is_a_reminder_a_minute(trouble: Trouble, logged: Logged) -> None:
    await fails_for(trouble, int(3 * REMIND_EVERY_S) + 1, OSError("no route"))
    warnings = [entry for entry in logged if entry["log_level"] == "warning"]
    assert [entry.get("lasted_s", 0) for entry in warnings] == [0, 60, 120, 180]
    assert [entry.get("failures", 1) for entry in warnings] == [1, 61, 121, 181]


async def test_the_end_says_how_often_and_how_long(trouble: Trouble, logged: Logged) -> None:
    await fails_for(trouble, 7, OSError("no route"))
    trouble.ended(queue="points")
    trouble.ended()
    assert logged[7:] == [
        {
            "event": "store_is_back",
            "queue": "points",
            "failures": 7,
            "lasted_s": 7.0,
            "log_level": "info",
        }
    ]


async def test_the_next_trouble_is_told_like_the_first(trouble: Trouble, logged: Logged) -> None:
    for _ in range(2):
        trouble.failed(OSError("no route"), queue="points")
        trouble.ended()
    assert levels(logged) == ["warning", "info"] * 2
    assert logged[2] == logged[0]


async def test_what_passes_by_itself_is_told_only_when_it_lasts(
    trouble: Trouble, logged: Logged
) -> None:
    await fails_for(trouble, 30, Passing("busy"))
    trouble.ended()
    assert set(levels(logged)) == {"debug"}
    logged.clear()
    await fails_for(trouble, 61, Passing("busy"))
    trouble.ended()
    assert levels(logged) == ["debug"] * 60 + ["warning", "info"]


async def test_whoever_answers_for_it_tells_at_once_what_may_pass(logged: Logged) -> None:
    trouble = Trouble(structlog.get_logger("any"), "store_away", "store_is_back", at_once=True)
    await fails_for(trouble, 3, Passing("no connection"))
    trouble.ended()
    assert levels(logged) == ["warning", "debug", "debug", "info"]


async def test_what_is_worse_than_what_went_before_is_told_at_once(
    trouble: Trouble, logged: Logged
) -> None:
    trouble.failed(Passing("busy"))
    trouble.failed(OSError("disk full"))
    assert levels(logged) == ["debug", "warning"]


async def test_what_was_told_elsewhere_is_never_told_again(
    trouble: Trouble, logged: Logged
) -> None:
    error = Passing("of a claim")
    error.__cause__ = Told("no connection")
    await fails_for(trouble, 200, error)
    trouble.ended()
    assert set(levels(logged)) == {"debug"}


async def test_an_error_as_long_as_a_book_is_cut(trouble: Trouble, logged: Logged) -> None:
    trouble.failed(OSError("x" * 10_000))
    assert len(logged[0]["error"]) == 500
