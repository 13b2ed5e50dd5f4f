"""Dead letters over HTTP: for the platform alone, page by page, and put back once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.auth.messages import Role
from runtime.jobs import PLATFORM, NewJob, job_write
from runtime.jobs.queries import INSERT_JOB
from runtime.journal import JOURNAL, Append
from runtime.storage import Statement, Write
from tests.integration.gateway.helpers import (
    MERCHANT,
    RIVAL,
    Api,
    outcome_of,
    running_stubs,
    running_tree,
)
from tests.integration.gateway.putting_back import (
    REASON,
    back,
    lists_refused,
    put_backs_refused,
    wrong_outcomes,
)
from tests.integration.gateway.test_hostile_input import NOT_FOUND, Case, get

pytestmark = pytest.mark.slow

PATH = "/v1/admin/dead-letters"
ONE, PUT_BACK = f"{PATH}/{{job_id}}", f"{PATH}/{{job_id}}/put-back"
BACK = f"{PATH}/job_a/put-back"
SOME_TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)

KILL = Statement(
    "test.kill",
    "UPDATE jobs SET state = 'dead', attempt = 5, finished_at = $3, errors = $4"
    " WHERE merchant_id = $1 AND job_id = $2",
    INSERT_JOB.rank + 1,
)

SUCCEED = Statement(
    "test.succeed",
    "UPDATE jobs SET state = 'succeeded', finished_at = $3 WHERE merchant_id = $1 AND job_id = $2",
    KILL.rank + 1,
)


async def bury(api: Api, job_id: str, merchant_id: str, died_at: datetime, **fields: Any) -> None:
    """A dead job in a queue that nobody runs."""
    new = NewJob(queue="nobody", name="send", merchant_id=merchant_id, **fields)
    errors = [{"at": died_at.isoformat(), "attempt": 5, "error": "ValueError: no such number"}]
    kill = Write(KILL, (merchant_id, job_id, died_at, errors))
    written = job_write(new, job_id=job_id, now=SOME_TIME, trace_id="req_origin")
    assert await api.system.ref(JOURNAL).ask(Append((written, kill))) is None


async def bury_three(api: Api) -> None:
    second = timedelta(seconds=1)
    await bury(api, "job_a", MERCHANT, SOME_TIME, payload={"to": "+49"}, unique_key="u", key="k")
    await bury(api, "job_b", RIVAL, SOME_TIME + second)
    await bury(api, "job_c", PLATFORM, SOME_TIME + second)


async def listed(api: Api, query: str = "") -> dict[str, Any]:
    reply = await api.ask("GET", PATH + query, role=Role.PLATFORM)
    assert reply.status_code == 200, reply.text
    page: dict[str, Any] = reply.json()
    return page


async def test_dead_letters_of_all_merchants_are_listed_page_by_page(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert await listed(api) == {"items": [], "next_cursor": None}
        await bury_three(api)
        first = await listed(api, "?limit=2")
        rest = await listed(api, f"?limit=2&cursor={first['next_cursor']}")
        letters = [*first["items"], *rest["items"]]
        assert [(each["job_id"], each["merchant_id"]) for each in letters] == [
            ("job_c", None), ("job_b", RIVAL), ("job_a", MERCHANT),
        ]  # fmt: skip
        assert rest["next_cursor"] is None
        assert "payload" not in letters[-1]
        assert letters[-1]["error"] == "ValueError: no such number"
        assert (letters[-1]["attempts"], letters[-1]["trace_id"]) == (5, "req_origin")


async def test_one_dead_letter_has_its_payload_and_its_errors(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        letter = (await api.ask("GET", f"{PATH}/job_a", role=Role.PLATFORM)).json()
        assert letter["payload"] == {"to": "+49"}
        assert (letter["state"], letter["key"]) == ("dead", "k")
        assert [error["error"] for error in letter["errors"]] == ["ValueError: no such number"]
        assert letter["history"] == []


async def test_a_dead_letter_is_put_back_once_and_says_by_whom_and_why(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        reply = await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON)
        assert reply.status_code == 200, reply.text
        job = reply.json()
        assert (job["state"], job["attempts"], job["died_at"]) == ("available", 0, None)
        (note,) = job["history"]
        assert (note["action"], note["by"], note["reason"]) == (
            "put_back", "tester", REASON["reason"],
        )  # fmt: skip
        again = await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON)
        assert outcome_of(again) == (409, "not_dead")
        assert [each["job_id"] for each in (await listed(api))["items"]] == ["job_c", "job_b"]


async def test_a_letter_that_was_put_back_tells_what_becomes_of_it(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON)
        waiting = (await api.ask("GET", f"{PATH}/job_a", role=Role.PLATFORM)).json()
        assert (waiting["state"], len(waiting["history"])) == ("available", 1)
        succeed = Write(SUCCEED, (MERCHANT, "job_a", SOME_TIME))
        assert await api.system.ref(JOURNAL).ask(Append((succeed,))) is None
        done = (await api.ask("GET", f"{PATH}/job_a", role=Role.PLATFORM)).json()
        assert (done["state"], done["trace_id"]) == ("succeeded", "req_origin")
        assert [error["error"] for error in done["errors"]] == ["ValueError: no such number"]


async def test_putting_one_letter_back_at_the_same_time_happens_once(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        statuses: list[int] = []

        async def put_back() -> None:
            reply = await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON)
            statuses.append(reply.status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(put_back)
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 404, 409}


async def test_a_letter_whose_twin_is_live_is_not_put_back(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        twin = NewJob(queue="nobody", name="send", merchant_id=MERCHANT, unique_key="u")
        written = job_write(twin, job_id="job_d", now=SOME_TIME, trace_id=None)
        await api.system.ref(JOURNAL).ask(Append((written,)))
        reply = await api.ask("POST", BACK, role=Role.PLATFORM, json=REASON)
        assert outcome_of(reply) == (409, "job_is_live")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLATFORM])
async def test_dead_letters_are_for_the_platform_alone(tmp_path: Path, role: Role) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        token = api.token(role)
        for method, path, body in (
            ("GET", PATH, None),
            ("GET", f"{PATH}/job_a", None),
            ("GET", f"{PATH}/nothing", None),
            ("POST", BACK, REASON),
        ):
            reply = await api.ask(method, path, token=token, json=body)
            assert outcome_of(reply) == (403, "role_not_allowed")
            assert (await api.client.request(method, path, json=body)).status_code == 401
        assert len((await listed(api))["items"]) == 3


async def test_without_the_desk_the_routes_say_so(tmp_path: Path) -> None:
    async with running_stubs(tmp_path, ()) as api:
        reply = await api.ask("GET", PATH, role=Role.PLATFORM)
        assert reply.status_code == 503
        assert reply.headers["retry-after"]


HOSTILE = [
    *lists_refused(PATH),
    *put_backs_refused(BACK, PUT_BACK),
    back("letter of nobody", NOT_FOUND, f"{PATH}/nothing/put-back", PUT_BACK),
    back("letter with a path", NOT_FOUND, f"{PATH}/%2e%2e%2fjob_a/put-back", PUT_BACK),
    back("letter with NUL", NOT_FOUND, f"{PATH}/job_a%00/put-back", PUT_BACK),
    back("letter with SQL", NOT_FOUND, f"{PATH}/job_a'%20OR%20'1'='1/put-back", PUT_BACK),
    Case(name="wrong method", expected=(405, "method_not_allowed"), method="DELETE",
         path=f"{PATH}/job_a", key=None),
    get("letter of nobody, read", NOT_FOUND, f"{PATH}/nothing", ONE),
    get("letter not UTF-8", NOT_FOUND, f"{PATH}/%ff", ONE),
]  # fmt: skip


async def test_hostile_input_is_refused_and_puts_nothing_back(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await bury_three(api)
        before = await listed(api)
        assert await wrong_outcomes(api, HOSTILE) == {}
        assert await listed(api) == before
