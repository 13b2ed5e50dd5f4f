"""Logging in: who is let in, who has to wait, and who is not locked out."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from actors.auth.messages import (
    CAPTCHA,
    QUERIES,
    Denial,
    GetChallenge,
    Grant,
    ListLoginAttempts,
    Role,
)
from actors.auth.puzzles import solve
from actors.vocabulary import Page
from runtime import ActorSystem, TerminateChild
from runtime.storage import AnyEntry
from runtime.storage.guarded import Guarded
from tests.unit.auth.domain import (
    EMAIL,
    MERCHANT,
    PASSWORD,
    CheapHasher,
    Domain,
    caller_of,
    running_domain,
)
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

MINUTE_S = 60.0


@pytest.fixture(autouse=True)
def easy_challenges(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it takes to solve one is not what is tried here."""
    monkeypatch.setattr("actors.auth.puzzles.NUMBER_MAX", 200)


async def solution(system: ActorSystem) -> str:
    return solve(await system.ref(CAPTCHA).ask(GetChallenge()))


async def fail_until_captcha(domain: Domain) -> None:
    assert [await domain.denied() for _ in range(3)] == ["invalid_credentials"] * 3
    assert await domain.denied() == "captcha_required"


async def fail_until_throttled(domain: Domain) -> None:
    await fail_until_captcha(domain)
    for _ in range(2):
        assert await domain.denied(captcha=await solution(domain.system)) == "invalid_credentials"


async def test_the_right_password_gives_tokens_of_fifteen_minutes() -> None:
    async with running_domain() as domain:
        account = await domain.create()
        grant = await domain.log_in(email=EMAIL.upper())
        caller = caller_of(grant.access_token)
        assert (caller.subject, caller.role) == (account.account_id, Role.OWNER)
        assert (caller.merchant_id, caller.permissions) == (MERCHANT, None)
        now_s = domain.system.clock.now().timestamp()
        assert 0 < caller.expires_at - now_s <= 900
        assert caller.session_id is not None
        assert PASSWORD not in repr(grant)
        assert grant.access_token not in repr(grant)


async def test_unknown_account_wrong_password_and_disabled_account_look_alike() -> None:
    async with running_domain() as domain:
        await domain.create()
        wrong = await domain.try_login("wrong")
        unknown = await domain.try_login("wrong", email="eve@flora.example")
        elsewhere = await domain.try_login(merchant_id="rival")
        assert wrong == unknown == elsewhere
        assert isinstance(wrong, Denial)
        assert domain.hasher.compared == 3


async def test_the_database_does_for_an_unknown_account_what_it_does_for_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With as many hashes compared, this is why both take the same time."""
    asked: list[str] = []
    written: list[str] = []

    def watch(name: str) -> None:
        real = getattr(Guarded, name)

        async def watched(self: Guarded, sql: str, *values: Any) -> Any:
            asked.append(sql)
            return await real(self, sql, *values)

        monkeypatch.setattr(Guarded, name, watched)

    append = Guarded.append

    async def watched_append(self: Guarded, entries: Sequence[AnyEntry], **rest: Any) -> None:
        written.extend(write.statement.name for entry in entries for write in entry)
        await append(self, entries, **rest)

    async def statements(domain: Domain, **rest: Any) -> tuple[list[str], list[str]]:
        asked.clear()
        written.clear()
        assert await domain.denied(**rest) == "invalid_credentials"
        return [sql for sql in asked if "login_attempts" in sql or "accounts" in sql], [*written]

    for name in ("fetch", "fetch_row", "fetch_value", "execute"):
        watch(name)
    monkeypatch.setattr(Guarded, "append", watched_append)
    async with running_domain() as domain:
        await domain.create()
        wrong = await statements(domain)
        unknown = await statements(domain, email="eve@flora.example")
        assert wrong == unknown
        assert [len(wrong[0]), wrong[1]] == [3, ["journal.count_commit", "auth.insert_attempt"]]


async def test_the_sixth_failure_in_fifteen_minutes_has_to_wait_and_is_told_how_long() -> None:
    async with running_domain() as domain:
        await domain.create()
        await fail_until_throttled(domain)
        compared = domain.hasher.compared
        denial = await domain.try_login(captcha=await solution(domain.system))
        assert isinstance(denial, Denial)
        assert denial.code == "login_throttled"
        assert domain.hasher.compared == compared
        await trio.sleep(denial.retry_after_s - 1)
        assert await domain.denied(PASSWORD) == "login_throttled"
        await trio.sleep(2)
        await domain.log_in(captcha=await solution(domain.system))


async def test_who_guesses_does_not_lock_the_owner_out_of_a_known_device() -> None:
    async with running_domain() as domain:
        await domain.create()
        device = (await domain.log_in()).device_token
        await fail_until_throttled(domain)
        assert await domain.denied(PASSWORD) == "login_throttled"
        again = await domain.log_in(device_token=device)
        assert again.device_token is None
        assert await domain.denied(PASSWORD, device_token="lnd_made_up") == "login_throttled"


async def test_a_known_device_has_five_guesses_of_its_own() -> None:
    async with running_domain() as domain:
        await domain.create()
        device = (await domain.log_in()).device_token
        outcomes = [await domain.denied(device_token=device) for _ in range(6)]
        assert outcomes == ["invalid_credentials"] * 5 + ["login_throttled"]
        await domain.log_in(address="192.0.2.8")


async def test_guesses_that_come_at_once_are_no_way_around_the_limit() -> None:
    async with running_domain() as domain:
        await domain.create()
        outcomes: list[str] = []

        async def guess() -> None:
            outcomes.append(await domain.denied())

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(guess)
        assert outcomes.count("invalid_credentials") <= 5
        assert domain.hasher.compared <= 5
        others = {"login_throttled", "captcha_required", "logins_busy"}
        assert set(outcomes) <= {"invalid_credentials", *others}


async def test_the_twenty_first_failure_of_an_address_in_a_minute_has_to_wait() -> None:
    async with running_domain() as domain:
        outcomes = []
        for number in range(21):
            captcha = await solution(domain.system) if number >= 3 else None
            email = f"user-{number}@flora.example"
            outcomes.append(await domain.denied(email=email, captcha=captcha))
        assert outcomes == ["invalid_credentials"] * 20 + ["login_throttled"]
        assert await domain.denied(address="192.0.2.8") == "invalid_credentials"
        await trio.sleep(MINUTE_S)
        assert await domain.denied() == "invalid_credentials"


async def test_a_solved_challenge_counts_once() -> None:
    async with running_domain() as domain:
        await domain.create()
        await fail_until_captcha(domain)
        solved = await solution(domain.system)
        assert await domain.denied(captcha=solved) == "invalid_credentials"
        assert await domain.denied(captcha=solved) == "captcha_invalid"
        assert await domain.denied(captcha="bm9uc2Vuc2U=") == "captcha_invalid"
        late = await solution(domain.system)
        await trio.sleep(10 * MINUTE_S + 1)
        for number in range(3):
            assert await domain.denied(email=f"{number}@flora.example") == "invalid_credentials"
        assert await domain.denied(captcha=late) == "captcha_invalid"


async def test_nobody_gets_past_a_captcha_that_cannot_be_checked() -> None:
    async with running_domain() as domain:
        await domain.create()
        await fail_until_captcha(domain)
        solved = await solution(domain.system)
        await domain.system.ref("test.auth").ask(TerminateChild("captcha"))
        assert await domain.denied(PASSWORD, captcha=solved) == "login_throttled"


async def test_a_hash_of_older_parameters_is_made_anew_at_the_next_login() -> None:
    hasher = CheapHasher()
    async with running_domain(hasher=hasher) as domain:
        await domain.create()
        hasher.version = 2
        await domain.log_in()
        query = "SELECT password_hash FROM accounts WHERE merchant_id = $1"
        hash_ = await domain.database.fetch_value(query, MERCHANT)
        assert hash_.startswith("cheap$2$")
        await domain.log_in()


async def test_every_attempt_is_kept_without_what_was_typed_in() -> None:
    async with running_domain() as domain:
        account = await domain.create()
        await domain.log_in()
        await domain.denied()
        await domain.denied(email="typo.secret@flora.example")
        found = await domain.system.ref(QUERIES).ask(ListLoginAttempts(merchant_id=MERCHANT))
        assert isinstance(found, Page)
        told = [(each.outcome, each.account_id) for each in found.items]
        assert told == [
            ("invalid_credentials", None),
            ("invalid_credentials", account.account_id),
            ("success", account.account_id),
        ]
        rows = await domain.database.fetch(
            "SELECT * FROM login_attempts WHERE merchant_id = $1", MERCHANT
        )
        assert not any("secret" in str(value) for row in rows for value in row)


async def test_an_account_has_twenty_sessions_at_most() -> None:
    async with running_domain() as domain:
        await domain.create()
        grants: list[Grant] = []
        for _ in range(21):
            grants.append(await domain.log_in())
            await trio.sleep(1)
        first = await domain.refresh(grants[0].refresh_token)
        assert isinstance(first, Denial)
        assert isinstance(await domain.refresh(grants[1].refresh_token), Grant)
