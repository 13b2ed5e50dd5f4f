"""Sessions: tokens that work once, what is revoked, and who hears of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import trio

from actors.admin_core.messages import PLATFORM
from actors.auth.messages import (
    ACCESS_TTL_S,
    ACCOUNTS,
    GUARD,
    REVOCATIONS,
    AccessRole,
    Account,
    ChangeAccount,
    ChangePassword,
    CheckStanding,
    DeleteRole,
    Denial,
    FollowRevocations,
    Grant,
    PutRole,
    ResumeMerchant,
    Revocations,
    Role,
    Standing,
    SuspendMerchant,
)
from actors.auth.model import PLATFORM_SESSION_LIFE
from actors.auth.revocations import CHANNEL, LOOK_EVERY_S, RevocationList
from actors.auth.upkeep import EXPIRED_KEPT
from actors.vocabulary import Refusal
from runtime import ActorSystem, ChildSpec
from runtime.cache import CacheHandle
from runtime.ports import seeded_ports
from tests.trees import START
from tests.unit.auth.domain import MERCHANT, PASSWORD, Domain, caller_of, running_domain
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

NEW_PASSWORD = "seven blue umbrellas"


async def revoked(domain: Domain, mark: str = "") -> Revocations:
    return await domain.system.ref(REVOCATIONS).ask(FollowRevocations(mark), timeout_s=10)


async def revoked_ids(domain: Domain) -> set[str]:
    return {each.revoked_id for each in (await revoked(domain)).revoked}


def session_of(grant: Grant) -> str:
    session_id = caller_of(grant.access_token).session_id
    assert session_id is not None
    return session_id


async def renewed(domain: Domain, grant: Grant) -> Grant:
    answer = await domain.refresh(grant.refresh_token)
    assert isinstance(answer, Grant), answer
    return answer


async def refused(domain: Domain, grant: Grant) -> str:
    answer = await domain.refresh(grant.refresh_token)
    assert isinstance(answer, Denial), answer
    return answer.code


async def test_a_refresh_token_gives_the_next_one_of_the_same_session() -> None:
    async with running_domain() as domain:
        await domain.create()
        first = await domain.log_in()
        second = await renewed(domain, first)
        third = await renewed(domain, second)
        assert session_of(first) == session_of(second) == session_of(third)
        tokens = {each.refresh_token for each in (first, second, third)}
        assert len(tokens) == 3


async def test_a_refresh_token_that_comes_again_ends_the_whole_session() -> None:
    async with running_domain() as domain:
        await domain.create()
        first, other = await domain.log_in(), await domain.log_in()
        second = await renewed(domain, first)
        assert await refused(domain, first) == "refresh_token_reused"
        assert await refused(domain, second) == "refresh_token_invalid"
        assert session_of(first) in await revoked_ids(domain)
        assert isinstance(await domain.refresh(other.refresh_token), Grant)


async def test_of_two_who_use_a_refresh_token_at_once_one_gets_tokens_that_do_not_last() -> None:
    async with running_domain() as domain:
        await domain.create()
        first = await domain.log_in()
        answers: list[Grant | Denial] = []

        async def use() -> None:
            answers.append(await domain.refresh(first.refresh_token))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(use)
            nursery.start_soon(use)
        grants = [each for each in answers if isinstance(each, Grant)]
        assert len(grants) == 1
        assert session_of(first) in await revoked_ids(domain)
        assert await refused(domain, grants[0]) == "refresh_token_invalid"


async def test_refresh_tokens_expire_with_their_sessions() -> None:
    async with running_domain() as domain:
        await domain.create(Role.PLATFORM)
        grant = await domain.log_in(merchant_id=None)
        assert grant.refresh_expires_at == START + PLATFORM_SESSION_LIFE
        soon = START + timedelta(seconds=60)
        change = "UPDATE sessions SET expires_at = $2 WHERE merchant_id = $1"
        await domain.database.execute(change, PLATFORM, soon)
        last = await renewed(domain, grant)
        assert last.access_expires_in_s <= 60
        await trio.sleep(61)
        assert await refused(domain, last) == "refresh_token_invalid"
        assert isinstance(await domain.refresh("lnr_made_up"), Denial)


async def test_a_logout_is_heard_by_who_follows_and_a_token_without_session_is_revoked_alone() -> (
    None
):
    async with running_domain() as domain:
        await domain.create()
        grant = await domain.log_in()
        before = await revoked(domain)
        heard: list[Revocations] = []

        async def follow() -> None:
            heard.append(await revoked(domain, before.mark))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.sleep(0.1)
            began = trio.current_time()
            await domain.log_out(grant.access_token)
        assert trio.current_time() == began
        assert [each.revoked_id for each in heard[0].revoked] == [session_of(grant)]
        assert await refused(domain, grant) == "refresh_token_invalid"


async def test_whatever_changes_in_an_account_ends_its_sessions() -> None:
    async with running_domain() as domain:
        account = await domain.create()
        for change in ({"disabled": True}, {"disabled": False}, {"password": NEW_PASSWORD}):
            if not change.get("disabled", False):
                await domain.system.ref(ACCOUNTS).ask(
                    ChangeAccount(account_id=account.account_id, disabled=False)
                )
            grant = await domain.log_in()
            command = ChangeAccount(account_id=account.account_id, **change)
            assert isinstance(await domain.system.ref(ACCOUNTS).ask(command), Account)
            assert session_of(grant) in await revoked_ids(domain)
            assert await refused(domain, grant) == "refresh_token_invalid"


async def test_a_new_password_needs_the_old_one_and_forgets_known_devices() -> None:
    async with running_domain() as domain:
        account = await domain.create()
        device = (await domain.log_in()).device_token

        async def change(old: str, new: str, merchant_id: str = MERCHANT) -> object:
            command = ChangePassword(
                merchant_id=merchant_id, account_id=account.account_id, old=old, new=new
            )
            return await domain.system.ref(ACCOUNTS).ask(command)

        assert isinstance(await change("wrong", NEW_PASSWORD), Denial)
        assert isinstance(await change(PASSWORD, "password123"), Refusal)
        assert isinstance(await change(PASSWORD, NEW_PASSWORD, "rival"), Refusal)
        assert await change(PASSWORD, NEW_PASSWORD) is None
        assert await domain.denied(PASSWORD) == "invalid_credentials"
        again = await domain.log_in(NEW_PASSWORD, device_token=device)
        assert again.device_token is not None


async def test_a_narrower_role_is_in_the_next_token_and_one_that_is_gone_allows_nothing() -> None:
    async with running_domain() as domain:
        accounts = domain.system.ref(ACCOUNTS)
        wanted = PutRole("clerk", Role.SUPPORT, ("customers:read",))
        assert isinstance(await accounts.ask(wanted), AccessRole)
        await domain.create(Role.SUPPORT, role_id="clerk")
        grant = await domain.log_in()
        assert caller_of(grant.access_token).permissions == frozenset({"customers:read"})
        in_use = await accounts.ask(DeleteRole("clerk"))
        assert isinstance(in_use, Refusal)
        assert in_use.code == "role_in_use"
        await accounts.ask(PutRole("clerk", Role.SUPPORT, ("orders:read",)))
        next_one = caller_of((await renewed(domain, grant)).access_token)
        assert next_one.permissions == frozenset({"orders:read"})
        other_base = await accounts.ask(PutRole("clerk", Role.OWNER, ("orders:read",)))
        assert isinstance(other_base, Refusal)


async def test_nobody_of_a_suspended_merchant_gets_in_until_it_is_resumed() -> None:
    async with running_domain() as domain:
        await domain.create()
        grant = await domain.log_in()
        before = await revoked(domain)
        revocations = domain.system.ref(REVOCATIONS)
        await revocations.ask(SuspendMerchant(MERCHANT, "unpaid"))
        news = await revoked(domain, before.mark)
        assert news.suspended == {MERCHANT}
        assert await domain.denied(PASSWORD) == "merchant_suspended"
        assert await refused(domain, grant) == "merchant_suspended"
        await revocations.ask(ResumeMerchant(MERCHANT))
        assert (await revoked(domain, news.mark)).suspended == frozenset()
        await domain.log_in()


# Standing of platform staff


async def standing(domain: Domain, grant: Grant) -> Standing:
    caller = caller_of(grant.access_token)
    return await domain.system.ref(GUARD).ask(CheckStanding(caller.token_id, caller.session_id))


async def test_standing_is_lost_at_once_and_unknown_without_the_cache() -> None:
    async with running_domain() as domain:
        await domain.create(Role.PLATFORM)
        one, other = [await domain.log_in(merchant_id=None) for _ in range(2)]
        assert await standing(domain, one) is Standing.GOOD
        await domain.log_out(one.access_token)
        await trio.sleep(0.01)
        assert await standing(domain, one) is Standing.REVOKED
        assert await standing(domain, other) is Standing.GOOD
        domain.cache.detach()
        assert await standing(domain, other) is Standing.UNKNOWN


async def test_without_the_database_staff_goes_on_and_who_was_revoked_before_does_not() -> None:
    async with running_domain() as domain:
        await domain.create(Role.PLATFORM)
        one, other = [await domain.log_in(merchant_id=None) for _ in range(2)]
        await domain.log_out(one.access_token)
        await trio.sleep(60)
        domain.database.detach()
        assert await standing(domain, one) is Standing.REVOKED
        assert await standing(domain, other) is Standing.GOOD


# Other processes


@asynccontextmanager
async def another_process(domain: Domain, cache: CacheHandle) -> AsyncIterator[Domain]:
    """A second list of revocations over the same database."""

    def start() -> RevocationList:
        return RevocationList(domain.database, cache)

    child = ChildSpec("revocations", start, name=REVOCATIONS)
    async with ActorSystem(seeded_ports(2, START, domain.system.clock)).run(child) as system:
        yield Domain(system, domain.database, cache, domain.hasher)


async def test_another_process_hears_by_a_notice_of_the_cache_or_of_the_database() -> None:
    async with running_domain() as domain:
        await domain.create()
        for cache in (domain.cache, CacheHandle()):
            grant = await domain.log_in()
            async with another_process(domain, cache) as other:
                before = await revoked(other)
                await domain.log_out(grant.access_token)
                with trio.fail_after(0.5):
                    news = await revoked(other, before.mark)
                assert session_of(grant) in {each.revoked_id for each in news.revoked}


async def test_another_process_reads_what_no_notice_told_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_domain() as domain:
        await domain.create()
        grant = await domain.log_in()
        monkeypatch.setattr("actors.auth.revocations.CHANNEL", "nobody listens to it")
        async with another_process(domain, CacheHandle()) as other:
            monkeypatch.setattr("actors.auth.revocations.CHANNEL", CHANNEL)
            await domain.log_out(grant.access_token)
            await trio.sleep(LOOK_EVERY_S + 0.1)
            assert session_of(grant) in await revoked_ids(other)


async def test_what_has_expired_is_forgotten_and_deleted() -> None:
    async with running_domain() as domain:
        await domain.create()
        await domain.log_out((await domain.log_in()).access_token)
        assert len(await revoked_ids(domain)) == 1
        change = "UPDATE revocations SET expires_at = $2 WHERE merchant_id = $1"
        await domain.database.execute(change, MERCHANT, START - 2 * EXPIRED_KEPT)
        await trio.sleep(ACCESS_TTL_S + 70)
        assert await revoked_ids(domain) == set()
        count = "SELECT count(*) FROM revocations WHERE merchant_id = $1"
        assert await domain.database.fetch_value(count, MERCHANT) == 0
