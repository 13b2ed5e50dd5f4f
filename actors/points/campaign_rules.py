"""How the rules of running campaigns reach those who credit orders, also while nobody tells."""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
import structlog

from actors.campaign.messages import MAX_ASKED, RULES, GetRules, RulesAnswer, RuleSet
from actors.core.messages import OrderRecorded
from actors.points.messages import Promotions
from actors.points.promotions import concerning
from runtime import ActorError, AskTimeout
from runtime.parking import monotonic
from runtime.system import ActorSystem
from runtime.trouble import Trouble

MAX_AGE_S: Final = 900.0
"""How long last known rules stand in. Points of later orders wait, rather than to be wrong."""

ASK_S: Final = 0.5
LEAVE_ALONE_S: Final = 1.0
"""After a question that was taken and not answered in time, none is asked for so long."""

MERCHANTS_KEPT: Final = 10_000
MEMBERS_KEPT: Final = 100_000

CAMPAIGN: Final = "campaign"
CACHED: Final = "cached"

log = structlog.get_logger("loyalnest.points")

Told = tuple[str, OrderRecorded]
"""A merchant and its order."""


@attrs.define
class _Kept:
    """The rules of a merchant, and when they were last known to be in force."""

    rules: RuleSet
    confirmed_at: float


class LastRules:
    """What was heard of campaigns last. It outlives the actors that use it.

    An audience never changes once its campaign runs, so that a membership which is known stays
    true.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._members: OrderedDict[tuple[str, str, str], bool] = OrderedDict()
        self._trouble = Trouble(log, "campaigns_not_asked", "campaigns_asked_again")
        self._left_alone_until = 0.0

    def version(self, merchant_id: str) -> int:
        kept = self._kept.get(merchant_id)
        return kept.rules.version if kept is not None else -1

    def lets_ask(self) -> bool:
        return monotonic() >= self._left_alone_until

    def failed(self, error: ActorError) -> None:
        """Who is not there says so at once, and may be asked again at once."""
        if isinstance(error, AskTimeout):
            self._left_alone_until = monotonic() + LEAVE_ALONE_S
        self._trouble.failed(error)

    def heard(self, question: GetRules, answer: RulesAnswer) -> None:
        """Keep an answer."""
        self._trouble.ended()
        merchant_id = question.merchant_id
        kept = self._kept.get(merchant_id)
        if answer.rules is not None or kept is None:
            kept = self._kept[merchant_id] = _Kept(answer.rules or RuleSet(), 0.0)
        kept.confirmed_at = monotonic()
        self._kept.move_to_end(merchant_id)
        while len(self._kept) > MERCHANTS_KEPT:
            self._kept.popitem(last=False)
        self._remember(question, answer, kept.rules)

    def _remember(self, question: GetRules, answer: RulesAnswer, rules: RuleSet) -> None:
        for campaign_id in _restricted(rules):
            for customer in question.customers:
                is_member = (customer, campaign_id) in answer.memberships
                self._members[question.merchant_id, campaign_id, customer] = is_member
        while len(self._members) > MEMBERS_KEPT:
            self._members.popitem(last=False)

    def usable(self, merchant_id: str, customers: Sequence[str]) -> bool:
        """Whether orders of these customers can do with what is known. A merchant that never had a
        campaign has none while nobody is there who could begin one."""
        kept = self._kept.get(merchant_id)
        if kept is None:
            return False
        if not kept.rules.version:
            return True
        known = all(
            (merchant_id, campaign_id, customer) in self._members
            for campaign_id in _restricted(kept.rules)
            for customer in customers
        )
        return known and monotonic() - kept.confirmed_at <= MAX_AGE_S

    def promotions(
        self, merchant_id: str, order: OrderRecorded, now: datetime, *, stale: bool
    ) -> Promotions:
        """The rules that concern an order; one of the future counts as of now."""
        kept = self._kept[merchant_id]
        rules = kept.rules
        member_of = frozenset(
            campaign_id
            for campaign_id in _restricted(rules)
            if self._members.get((merchant_id, campaign_id, order.customer_id))
        )
        ordered_at = min(order.ordered_at, now)
        found = concerning(rules.rules, order.currency, ordered_at, member_of)
        age_s = max(1, int(monotonic() - kept.confirmed_at)) if stale else 0
        return Promotions(found, rules.version, age_s)


def _restricted(rules: RuleSet) -> set[str]:
    return {rule.campaign_id for rule in rules.rules if rule.restricted}


async def promotions_of(
    system: ActorSystem, last: LastRules, told: Sequence[Told]
) -> list[Promotions]:
    """For each order, the rules of running campaigns that concern it.

    Campaigns are asked once for each merchant. While they do not answer, what was heard last
    stands in, marked with its age; raises `ActorError` where that is too old, or was nothing: the
    points wait, rather than to be wrong.
    """
    customers: dict[str, set[str]] = defaultdict(set)
    for merchant_id, order in told:
        customers[merchant_id].add(order.customer_id)
    stale = {
        merchant_id: await _hear(system, last, merchant_id, sorted(some))
        for merchant_id, some in customers.items()
    }
    now = system.clock.now()
    return [
        last.promotions(merchant_id, order, now, stale=stale[merchant_id])
        for merchant_id, order in told
    ]


async def _hear(
    system: ActorSystem, last: LastRules, merchant_id: str, customers: Sequence[str]
) -> bool:
    """Bring what is known of a merchant up to date; true where that did not work, but will do."""
    usable = last.usable(merchant_id, customers)
    if usable and not last.lets_ask():
        return _went_on(system)
    for start in range(0, len(customers), MAX_ASKED):
        some = tuple(customers[start : start + MAX_ASKED])
        question = GetRules(merchant_id, last.version(merchant_id), some)
        try:
            last.heard(question, await system.ref(RULES).ask(question, timeout_s=ASK_S))
        except ActorError as error:
            last.failed(error)
            if not usable:
                raise
            return _went_on(system)
    return False


def _went_on(system: ActorSystem) -> bool:
    system.metrics.policies.fallback(CAMPAIGN, CACHED)
    return True
