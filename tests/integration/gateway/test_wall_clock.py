"""A wall clock that is set by minutes moves what is said about times, and no timer."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from gateway.authentication import NOT_BEFORE_LEEWAY_S
from gateway.rate_limits import RateLimitSettings
from tests.integration.gateway.helpers import Api, outcome_of, patient_settings, running_tree

pytestmark = pytest.mark.slow

ME = "/v1/auth/me"
JUMP_S = 300.0
LIMIT = 2
"""A minute, so that the next one is let in after thirty seconds."""

SETTINGS = patient_settings(rate_limits=RateLimitSettings(routes={f"GET {ME}": LIMIT}))
PROMPT_S = JUMP_S / 10
"""Who waited for the wall clock would wait until it is where it was."""


@attrs.define
class Set:
    """A wall clock that somebody has set wrong."""

    right: Any
    off_s: float = 0.0

    def now(self) -> datetime:
        moment: datetime = self.right.now() + timedelta(seconds=self.off_s)
        return moment


def set_by(api: Api, seconds: float) -> None:
    api.system.clock = Set(api.system.clock, seconds)


@pytest.mark.parametrize("off_s", [JUMP_S, -JUMP_S])
async def test_requests_and_limits_go_on(tmp_path: Path, off_s: float) -> None:
    async with running_tree(tmp_path, SETTINGS) as api:
        now = api.system.clock.now()
        token = api.token(now=now - timedelta(seconds=2 * JUMP_S), ttl_s=3_600)
        for _ in range(LIMIT):
            assert (await api.ask("GET", ME, token=token)).status_code == 200
        assert (await api.ask("GET", ME, token=token)).status_code == 429
        first = await api.earn(10)
        set_by(api, off_s)
        began = trio.current_time()
        assert (await api.ask("GET", ME, token=token)).status_code == 429, "not let in any sooner"
        earned = [await api.earn(10) for _ in range(3)]
        assert {answer.status_code for answer in earned} == {200}
        assert trio.current_time() - began < PROMPT_S
        assert (await api.client.get("/health/ready")).status_code == 200
        moments = [answer.json()["recorded_at"] for answer in (first, *earned)]
        assert moments == sorted(moments), "an account's time never goes back"
        verified = await api.ask("GET", "/v1/points/verify")
        assert verified.json()["clean"]


async def test_a_token_of_a_machine_that_is_ahead_has_a_minute(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        now = api.system.clock.now()
        for ahead_s, outcome in (
            (NOT_BEFORE_LEEWAY_S - 5, (200, None)),
            (NOT_BEFORE_LEEWAY_S + 60, (401, "invalid_token")),
        ):
            token = api.token(now=now + timedelta(seconds=ahead_s))
            assert outcome_of(await api.ask("GET", ME, token=token)) == outcome


async def test_a_token_is_over_while_the_clock_says_so(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        token = api.token(ttl_s=int(JUMP_S / 2))
        assert (await api.ask("GET", ME, token=token)).status_code == 200
        set_by(api, JUMP_S)
        assert outcome_of(await api.ask("GET", ME, token=token)) == (401, "invalid_token")
        set_by(api, -JUMP_S)
        assert (await api.ask("GET", ME, token=token)).status_code == 200
