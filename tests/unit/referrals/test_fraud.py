"""Whom a program does not pay for, and what is not told to whom."""

import pytest
import trio

from actors.core.messages import CUSTOMERS, MergeCustomers
from actors.referrals.messages import (
    Decision,
    Invitation,
    InvitationChannel,
    Referral,
    ReferralState,
    Review,
)
from actors.referrals.model import HIDDEN, shown_state
from actors.vocabulary import Refusal
from tests.trees import MERCHANT
from tests.unit.referrals.world import FRIEND_NUMBER, World, running_world
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

EMAIL, LINK = InvitationChannel.EMAIL, InvitationChannel.LINK


def code_of(answer: object) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.code


@pytest.mark.parametrize(
    ("own", "invited"),
    [
        ({"email": "Ann@Example.com"}, "ann@example.com"),
        ({"email": "ann@example.com"}, "ann+friend@example.com"),
        ({"email": "a.n.n@gmail.com"}, "ann+x@googlemail.com"),
        ({"phone": "+41 79 123 45 67"}, "0041791234567"),
    ],
)
async def test_nobody_invites_himself(own: dict[str, str], invited: str) -> None:
    async with running_world() as world:
        await world.contact("ann", **own)
        channel = EMAIL if "email" in own else InvitationChannel.SMS
        assert code_of(await world.invite(invited, channel=channel)) == "self_referral"


async def test_nobody_claims_his_own_code_under_another_account() -> None:
    async with running_world() as world:
        referral = await world.invited()
        assert code_of(await world.claim(referral.code, "ann")) == "self_referral"
        await world.contact("ann", email="ann@gmail.com")
        await world.contact("bob", email="a.nn+2@gmail.com")
        assert code_of(await world.claim(referral.code, "bob")) == "self_referral"


async def test_who_has_ordered_before_was_brought_by_nobody() -> None:
    async with running_world() as world:
        await world.order(total_minor=99)
        referral = await world.invited()
        assert code_of(await world.claim(referral.code)) == "not_first_order"


async def test_an_older_order_that_turns_up_later_ends_the_referral() -> None:
    async with running_world() as world:
        referral = await world.claimed((await world.invited()).code)
        before = world.clock.now()
        await trio.sleep(1)
        await world.order("o-2", 99)
        assert await world.state(referral) is ReferralState.QUALIFIED
        assert referral.claimed_at is not None
        await world.order("o-1", 99, at=min(before, referral.claimed_at).replace(year=2025))
        found = await world.get(referral)
        assert (found.state, found.reason) == (ReferralState.REJECTED, "ordered_before")


async def test_a_friend_has_one_live_referral_and_nobody_is_told_of_it() -> None:
    async with running_world() as world:
        first = await world.invited()
        again = await world.invited()
        assert again.referral_id == first.referral_id
        other = await world.invited(advocate="cyd")
        found = await world.get(other)
        assert (found.state, found.reason) == (ReferralState.REJECTED, "invited_before")
        assert other.code != first.code
        assert (await world.invited(advocate="cyd")).code == other.code
        assert shown_state(found.state, found.reason, over=False) is ReferralState.INVITED
        await world.settled()
        assert len(world.texter.sent) == 1
        assert code_of(await world.claim(other.code)) == "referral_not_open"
        await world.claimed(first.code)


async def test_ten_advocates_who_invite_the_same_friend_at_once_send_one_text() -> None:
    async with running_world() as world:
        advocates = [f"adv-{number}" for number in range(10)]
        await world.tree.create(*advocates)
        async with trio.open_nursery() as nursery:
            for advocate in advocates:
                nursery.start_soon(world.invited, FRIEND_NUMBER, advocate)
        await world.settled()
        assert len(world.texter.sent) == 1
        live = "SELECT count(*) FROM referrals WHERE state IN ('created', 'invited')"
        assert await world.value(live) == 1


async def test_a_customer_who_has_ordered_is_not_invited_and_that_is_not_told() -> None:
    async with running_world() as world:
        await world.contact("bob", phone=FRIEND_NUMBER)
        await world.order(total_minor=99)
        referral = await world.invited()
        found = await world.get(referral)
        assert (found.state, found.reason) == (ReferralState.REJECTED, "existing_customer")
        assert found.reason in HIDDEN
        await world.settled()
        assert world.texter.sent == []


async def test_who_claims_another_code_ends_the_invitation() -> None:
    async with running_world() as world:
        await world.contact("bob", phone=FRIEND_NUMBER)
        invitation = await world.invited()
        link = await world.invite(None, "cyd", channel=LINK)
        assert isinstance(link, Invitation)
        assert link.link is not None
        claimed = await world.claimed(link.link.code)
        assert claimed.advocate_id == "cyd"
        found = await world.get(invitation)
        assert (found.state, found.reason) == (ReferralState.REJECTED, "claimed_another")
        assert code_of(await world.claim(invitation.code)) == "already_referred"


async def test_a_link_brings_many_friends_each_once() -> None:
    async with running_world() as world:
        friends = [f"friend-{number}" for number in range(5)]
        await world.tree.create(*friends)
        links = [await world.invite(None, channel=LINK) for _ in range(2)]
        codes = {each.link.code for each in links if isinstance(each, Invitation) and each.link}
        (code,) = codes
        claims = [await world.claimed(code, friend) for friend in friends for _ in range(2)]
        assert len({claim.referral_id for claim in claims}) == len(friends)


@pytest.mark.parametrize(
    ("signals", "flags"),
    [
        ({"ip": "192.0.2.7"}, ("same_ip",)),
        ({"device": "D-1", "ip": "192.0.2.8"}, ("same_device",)),
        ({"ip": "192.0.2.9"}, ()),
    ],
)
async def test_what_looks_like_one_household_waits_for_somebody_to_look(
    signals: dict[str, str], flags: tuple[str, ...]
) -> None:
    async with running_world() as world:
        await world.program(return_days=0)
        referral = await world.invited(signals={"ip": "192.0.2.7", "device": "d-1"})
        claimed = await world.claimed(referral.code, signals=signals)
        assert claimed.flags == flags
        assert claimed.review is (Review.PENDING if flags else Review.NONE)
        await world.order(total_minor=99)
        await trio.sleep(5)
        if flags:
            assert await world.earnings() == []
            approved = await world.review(claimed, Decision.APPROVE)
            assert isinstance(approved, Referral)
            await trio.sleep(5)
        assert sorted(await world.earnings()) == [("ann", 500), ("bob", 250)]
        kept = await world.value("SELECT signals FROM referrals")
        assert "192.0.2" not in str(kept)


async def test_a_rejected_referral_rewards_nobody() -> None:
    async with running_world() as world:
        await world.program(return_days=0)
        referral = await world.invited(signals={"device": "d-1"})
        claimed = await world.claimed(referral.code, signals={"device": "d-1"})
        await world.review(claimed, Decision.REJECT, "one family")
        await world.order(total_minor=99)
        await trio.sleep(5)
        assert await world.earnings() == []
        found = await world.get(referral)
        assert (found.state, found.reason) == (ReferralState.REJECTED, "one family")


async def at_once(world: World, number: int, **options: object) -> list[object]:
    """So many invitations of different friends, at the same time."""
    answers: list[object] = []

    async def one(index: int) -> None:
        to = options.get("to") or f"+4179{index:07d}"
        answers.append(await world.invite(str(to), str(options.get("advocate", "ann"))))

    async with trio.open_nursery() as nursery:
        for index in range(number):
            nursery.start_soon(one, index)
    return answers


@pytest.mark.parametrize(
    ("cap", "code"),
    [
        ({"invitations_per_day": 5}, "invitations_cap_reached"),
        ({"texts_per_day": 5}, "texts_cap_reached"),
        ({"invitations_per_advocate": 5}, "advocate_cap_reached"),
    ],
)
async def test_caps_hold_exactly_also_for_many_at_once(cap: dict[str, int], code: str) -> None:
    async with running_world() as world:
        await world.program(**cap)
        answers = await at_once(world, 20)
        taken = [answer for answer in answers if isinstance(answer, Invitation)]
        refused = {answer.code for answer in answers if isinstance(answer, Refusal)}
        assert len(taken) == await world.value("SELECT count(*) FROM referrals")
        assert len(taken) <= 5
        assert refused <= {code, "referral_busy"}
        while len(taken) < 5:
            taken.append(await world.invite(f"+4178{len(taken):07d}"))  # type: ignore[arg-type]
        assert code_of(await world.invite("+41780000099")) == code
        assert await world.value("SELECT count(*) FROM referrals") == 5


async def test_one_address_is_not_written_to_by_many_names() -> None:
    async with running_world() as world:
        await world.program(invitations_per_address=2)
        for advocate in ("ann", "cyd"):
            await world.invited(advocate=advocate)
        await world.settled()
        await world.tree.create("dan", "eve")
        found = await world.get(await world.invited(advocate="dan"))
        assert (found.state, found.reason) == (ReferralState.REJECTED, "invited_before")
        await world.tree.database.execute(
            "UPDATE referrals SET state = 'expired' WHERE merchant_id = $1"
            " AND state IN ('created', 'invited')",
            MERCHANT,
        )
        await world.invited()
        await world.settled()
        await world.tree.database.execute(
            "UPDATE referrals SET state = 'expired' WHERE merchant_id = $1"
            " AND state IN ('created', 'invited')",
            MERCHANT,
        )
        found = await world.get(await world.invited(advocate="eve"))
        assert (found.state, found.reason) == (ReferralState.REJECTED, "address_cap")
        await world.settled()
        assert len(world.texter.sent) == 2


async def test_a_link_of_an_account_that_was_merged_is_that_of_the_other() -> None:
    async with running_world() as world:
        made = await world.invite(None, channel=LINK)
        assert isinstance(made, Invitation)
        assert made.link is not None
        await world.tree.system.ref(CUSTOMERS).ask(MergeCustomers(MERCHANT, "ann", "cyd"))
        await world.settled()
        assert code_of(await world.claim(made.link.code, "cyd")) == "self_referral"
        assert (await world.claimed(made.link.code, "bob")).advocate_id == "cyd"


async def test_a_friend_who_turns_out_to_be_the_advocate_ends_the_referral() -> None:
    async with running_world() as world:
        referral = await world.claimed((await world.invited()).code)
        await world.order(total_minor=99)
        merge = MergeCustomers(MERCHANT, "bob", "ann")
        await world.tree.system.ref(CUSTOMERS).ask(merge)
        await world.settled()
        found = await world.get(referral)
        assert (found.state, found.reason) == (ReferralState.REJECTED, "same_person")
        assert await world.earnings() == []


async def test_a_friend_who_is_merged_into_another_account_is_rewarded_there() -> None:
    async with running_world() as world:
        await world.program(return_days=0)
        await world.tree.create("bobby")
        referral = await world.claimed((await world.invited()).code)
        await world.tree.system.ref(CUSTOMERS).ask(MergeCustomers(MERCHANT, "bob", "bobby"))
        await world.settled()
        await world.order(total_minor=99, customer="bobby")
        await trio.sleep(5)
        assert await world.state(referral) is ReferralState.REWARDED
        assert sorted(await world.earnings()) == [("ann", 500), ("bobby", 250)]
