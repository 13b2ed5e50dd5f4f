"""The file of a customer: what the domains keep about one person, for that person to read."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import attrs
import msgspec

from actors.campaign.birthdays import Birthday, GetBirthday
from actors.campaign.delivery_messages import BROADCASTS, Delivery, ListMessagesTo
from actors.core import messages as core
from actors.event_tracking import messages as tracking
from actors.event_tracking.messages import ListEvents
from actors.gamification.messages import (
    BOARDS,
    PLAYERS,
    Award,
    Engagement,
    GetEngagement,
    GetListing,
    ListAwards,
    PlayerKey,
)
from actors.points import messages as points
from actors.points.messages import AccountKey, BalanceView, GetBalance, LedgerEntry, ListLedger
from actors.points.program_messages import PROGRAM, ListRedemptions, Redemption
from actors.points.tier_messages import TIERS, ListTierChanges, TierChange
from actors.referrals import messages as referring
from actors.referrals.messages import ListReferrals, Referral
from actors.rfm_analytics import messages as rfm
from actors.rfm_analytics.messages import CustomerRfm, GetCustomerRfm
from actors.vocabulary import MAX_PAGE, Page, Refusal
from gateway.api_events import EventView, view_of
from gateway.api_referrals import seen_by
from gateway.problems import not_found
from gateway.routes import ApiRequest, accepted
from runtime.message import Call

PAGES_MAX: Final = 100
"""Of each list."""

Found = TypeVar("Found")
Asking = Callable[[str | None], Call[Page[Found] | Refusal]]
"""The question for the page at a cursor."""


class CustomerFile(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept about a customer. Of each list there are 20,000 entries at most; `cut_off`
    names those that have more. `referrals` are those where the customer is one of the two sides,
    as far as customers may see them."""

    request_id: str
    made_at: datetime
    customer: core.CustomerExport
    balance: BalanceView | None
    ledger: tuple[LedgerEntry, ...]
    ledger_complete: bool
    redemptions: tuple[Redemption, ...]
    tier_changes: tuple[TierChange, ...]
    badges: tuple[Award, ...]
    on_leaderboards: bool
    engagement: Engagement | None
    referrals: tuple[Referral, ...]
    birthday: Birthday | None
    messages: tuple[Delivery, ...]
    rfm: CustomerRfm | None
    events: tuple[EventView, ...]
    cut_off: tuple[str, ...]


async def file_of(
    request: ApiRequest, request_id: str, merchant_id: str, customer_id: str
) -> CustomerFile:
    """Made of what is kept at this moment. Raises `Problem`: also where one domain does not answer,
    as a file with a part missing looks like a whole one."""
    of = (merchant_id, customer_id)
    customer = await request.ask(core.QUERIES, core.ExportCustomer(*of), bulk=True)
    if customer is None:
        raise not_found("there is no such customer")
    balance = await request.ask_entity(points.ACCOUNTS, AccountKey(*of), GetBalance())
    engagement = await request.ask_entity(PLAYERS, PlayerKey(*of), GetEngagement())
    scores = await request.ask(rfm.QUERIES, GetCustomerRfm(*of))
    lists, cut_off = await _lists(request, *of)
    return CustomerFile(
        request_id=request_id,
        made_at=request.system.clock.now(),
        customer=customer,
        balance=balance if isinstance(balance, BalanceView) else None,
        ledger_complete="ledger" not in cut_off,
        on_leaderboards=await request.ask(BOARDS, GetListing(*of)),
        engagement=engagement if isinstance(engagement, Engagement) else None,
        birthday=await request.ask(BROADCASTS, GetBirthday(*of)),
        rfm=scores if isinstance(scores, CustomerRfm) else None,
        cut_off=cut_off,
        **lists,
    )


async def _lists(
    request: ApiRequest, merchant_id: str, customer_id: str
) -> tuple[dict[str, tuple[Any, ...]], tuple[str, ...]]:
    """The lists by name, and the names of those that are cut off."""
    of = (merchant_id, customer_id)
    gathering = Gathering(request)
    add = gathering.add
    await add("ledger", points.QUERIES, lambda at: ListLedger(*of, MAX_PAGE, at))
    await add("redemptions", PROGRAM, lambda at: ListRedemptions(*of, MAX_PAGE, at))
    await add("tier_changes", TIERS, lambda at: ListTierChanges(*of, MAX_PAGE, at))
    await add("badges", BOARDS, lambda at: ListAwards(*of, MAX_PAGE, at))
    await add("messages", BROADCASTS, lambda at: ListMessagesTo(*of, MAX_PAGE, at))
    for advocate, friend in ((customer_id, None), (None, customer_id)):
        either = ListReferrals(
            merchant_id=merchant_id, advocate_id=advocate, friend_id=friend, limit=MAX_PAGE
        )
        await add("referrals", referring.QUERIES, _paged(either))
    theirs = ListEvents(merchant_id=merchant_id, customer_id=customer_id, limit=MAX_PAGE)
    await add("events", tracking.QUERIES, _paged(theirs))
    lists, now = gathering.lists, request.system.clock.now()
    lists["referrals"] = [seen_by(customer_id, each, now) for each in lists["referrals"]]
    lists["events"] = [view_of(each) for each in lists["events"]]
    return {name: tuple(found) for name, found in lists.items()}, tuple(gathering.cut_off)


def _paged(question: Any) -> Asking[Any]:
    return lambda at: attrs.evolve(question, cursor=at)


class Gathering:
    """Lists that are read page by page."""

    def __init__(self, request: ApiRequest) -> None:
        self._request = request
        self.lists: dict[str, list[Any]] = {}
        self.cut_off: list[str] = []

    async def add(self, name: str, actor: str, asking: Asking[Any]) -> None:
        """What is found goes behind what the list has. Raises `Problem`."""
        entries, cursor = self.lists.setdefault(name, []), None
        for _ in range(PAGES_MAX):
            found = accepted(await self._request.ask(actor, asking(cursor), bulk=True))
            entries += found.items
            cursor = found.next_cursor
            if cursor is None:
                return
        self.cut_off.append(name)
