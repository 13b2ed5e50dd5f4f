"""What other parts of LoyalNest may say to the gamification domain, and what it answers."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call

DEFINITIONS = "gamification.definitions"
"""Name of the actor that keeps badges, achievements, leaderboards and the weights of the score."""

PLAYERS = "gamification.players"
"""Name of the entities: one for each `PlayerKey`. They decide what their customer has earned."""

BOARDS = "gamification.boards"
"""Name of the actor that reads leaderboards, and who is not on them."""

INTAKE = "gamification.intake"
"""Name of the actor that takes outbox events, and deals them out to players."""

BADGE_CHANGED = "gamification.badge_changed"
"""Topic of the outbox event that follows every badge that is awarded or revoked; payload:
`BadgeChange`."""

MAX_DEFINITIONS = 100
"""Of each kind, for one merchant."""

MAX_TARGET = 10**12


@attrs.frozen
class PlayerKey:
    """The address of one customer's player."""

    merchant_id: str
    customer_id: str

    def __str__(self) -> str:
        return f"{self.merchant_id}/{self.customer_id}"


# Rules


class Metric(Enum):
    """What is counted of a customer's activity.

    Orders that were not taken back; the money that was kept of them; the largest one; articles in
    them; days with an order; the longest run of such days; points earned, less those taken back;
    referrals that were rewarded.
    """

    ORDERS = "orders"
    SPEND = "spend"
    LARGEST_ORDER = "largest_order"
    ITEMS = "items"
    ACTIVE_DAYS = "active_days"
    STREAK = "streak"
    POINTS = "points"
    REFERRALS = "referrals"


MONEY = frozenset({Metric.SPEND, Metric.LARGEST_ORDER})
"""Metrics in minor units of a currency."""


class Comparison(Enum):
    AT_LEAST = "at_least"
    MORE_THAN = "more_than"


class Calendar(Enum):
    """A unit of the calendar in the merchant's time zone. Weeks begin on Monday, as in ISO 8601."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@attrs.frozen(kw_only=True)
class Window:
    """The time in which it counts: the last `rolling_days`, one unit of the `calendar`, or, with
    neither, all time. Never both."""

    rolling_days: int | None = None
    calendar: Calendar | None = None


@attrs.frozen(kw_only=True)
class Rule:
    """`metric` within `window`, compared with `target`.

    `currency` goes with money, and only with it. `sku_pattern` is a regular expression that the
    article number has to match as a whole, for `ITEMS`. Days without an order that do not break a
    streak: `grace_days`.
    """

    metric: Metric
    target: int
    comparison: Comparison = Comparison.AT_LEAST
    window: Window = Window()
    currency: str | None = None
    sku_pattern: str | None = None
    grace_days: int = 0


class Recurrence(Enum):
    """`EACH_PERIOD`: once in each unit of the calendar."""

    ONCE = "once"
    EACH_PERIOD = "each_period"


# Definitions. Putting what is in force already makes no new version.


@attrs.frozen(kw_only=True)
class BadgeTerms:
    """An inactive badge is awarded to nobody; who has it keeps it."""

    name: str
    description: str = ""
    image_url: str | None = None
    active: bool = True


@attrs.frozen(kw_only=True)
class AchievementTerms:
    """The badge that is awarded when the rule holds. A `revocable` one is taken back when a refund
    makes the rule untrue."""

    name: str
    badge_id: str
    rule: Rule
    recurrence: Recurrence = Recurrence.ONCE
    revocable: bool = True
    active: bool = True


@attrs.frozen(kw_only=True)
class BoardTerms:
    """Who has most of `metric` in each cycle, a unit of the calendar; without one, of all time.

    A cycle takes late events for `closes_after_hours` after its end, and is frozen then.
    """

    name: str
    metric: Metric
    cycle: Calendar | None = Calendar.MONTH
    currency: str | None = None
    closes_after_hours: int = 24
    active: bool = True


class Signal(Enum):
    """What an engagement score counts."""

    ORDERS = "orders"
    ITEMS = "items"
    ACTIVE_DAYS = "active_days"
    REFERRALS = "referrals"
    BADGES = "badges"


@attrs.frozen(kw_only=True)
class ScoreTerm:
    """`weight` for each of `signal` in the last `within_days`, `cap` of them at most. It halves
    with every `half_life_days` since the latest."""

    signal: Signal
    weight: int
    cap: int
    half_life_days: int
    within_days: int = 365


@attrs.frozen(kw_only=True)
class ScoreTerms:
    terms: tuple[ScoreTerm, ...]


Terms = BadgeTerms | AchievementTerms | BoardTerms | ScoreTerms


class Kind(Enum):
    """Of a definition. There is one score for each merchant, with the id `SCORE`."""

    BADGE = "badge"
    ACHIEVEMENT = "achievement"
    BOARD = "board"
    SCORE = "score"


SCORE = "engagement"


@attrs.frozen(kw_only=True)
class Definition:
    """Version 0 is built in, and nobody chose it: only scores have one."""

    definition_id: str
    version: int
    terms: Terms
    changed_at: datetime | None = None


@attrs.frozen
class PutDefinition(Call[Definition | Refusal]):
    """To `DEFINITIONS`: add the next version. Players are looked at anew by and by."""

    merchant_id: str
    definition_id: str
    terms: Terms


@attrs.frozen
class GetDefinition(Call[Definition | None]):
    """To `DEFINITIONS`: the version in force."""

    merchant_id: str
    kind: Kind
    definition_id: str


@attrs.frozen
class ListDefinitions(Call[Page[Definition] | Refusal]):
    """To `DEFINITIONS`: those in force, by their ids."""

    merchant_id: str
    kind: Kind
    limit: int = 50
    cursor: str | None = None


# What members have


class BadgeState(Enum):
    AWARDED = "awarded"
    REVOKED = "revoked"


@attrs.frozen(kw_only=True)
class Award:
    """A badge of a customer. `period` is `once`, or the unit of the calendar that it was earned in
    (`2026-11`). `value` is what the rule measured."""

    badge_id: str
    period: str
    state: BadgeState
    achievement_id: str
    achievement_version: int
    value: int
    earned_at: datetime
    revoked_at: datetime | None = None


@attrs.frozen(kw_only=True)
class BadgeChange:
    """Payload of the outbox event. `number` counts the changes of this badge of this customer in
    this period; an odd one awards it, an even one revokes it."""

    customer_id: str
    badge_id: str
    period: str
    state: BadgeState
    achievement_id: str
    number: int
    changed_at: datetime


@attrs.frozen
class ListAwards(Call[Page[Award] | Refusal]):
    """To `BOARDS`: the badges of a customer, the latest first."""

    merchant_id: str
    customer_id: str
    limit: int = 50
    cursor: str | None = None


class Status(Enum):
    """Of an achievement, for one customer. `SKIPPED`: its rule could not be evaluated, and is tried
    again."""

    IN_PROGRESS = "in_progress"
    EARNED = "earned"
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class Progress:
    """How far a customer is, in the window of `as_of`.

    `value` is None where the rule could not be evaluated; `reason` says why. A streak's value is
    that of the run that is alive. `counts_from` and `counts_until` are local days, both counted.
    """

    achievement_id: str
    name: str
    badge_id: str
    metric: Metric
    target: int
    comparison: Comparison
    status: Status
    value: int | None
    missing: int | None
    percent: int | None
    period: str
    counts_from: str | None
    counts_until: str | None
    earned: int
    earned_at: datetime | None
    reason: str | None = None


@attrs.frozen(kw_only=True)
class ProgressView:
    customer_id: str
    time_zone: str
    achievements: tuple[Progress, ...]
    badges: int
    as_of: datetime


@attrs.frozen
class GetProgress(Call[ProgressView | Refusal]):
    """To a player."""


@attrs.frozen(kw_only=True)
class ScorePart:
    """One term: `count` of its signal, `capped` of them counted, weakened to the share `decay`
    by `age_days`; `points` is what it adds to the score."""

    signal: Signal
    weight: int
    cap: int
    half_life_days: int
    within_days: int
    count: int
    capped: int
    last_day: str | None
    age_days: int | None
    decay: float
    points: float


@attrs.frozen(kw_only=True)
class Engagement:
    """`score` from 0 to 100 is the sum of the points of its parts; `version` is that of the
    weights."""

    customer_id: str
    score: float
    version: int
    parts: tuple[ScorePart, ...]
    as_of: datetime


@attrs.frozen
class GetEngagement(Call[Engagement | Refusal]):
    """To a player."""


# Leaderboards


class CycleState(Enum):
    """`OPEN` while it runs; `CLOSING` while late events still count; `CLOSED` for good."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


TIE_RULE = (
    "Of equal scores, the one that was reached first ranks first; of those reached at the same"
    " time, the smaller customer id."
)


@attrs.frozen(kw_only=True)
class Standing:
    """`reached_at` is when the last thing happened that counts into the score."""

    rank: int
    customer_id: str
    score: int
    reached_at: datetime


@attrs.frozen(kw_only=True)
class BoardPage:
    """One page of a cycle; `own` is where the customer stands who was asked for."""

    board_id: str
    name: str
    metric: Metric
    currency: str | None
    cycle: str
    first_day: str | None
    last_day: str | None
    state: CycleState
    closed_at: datetime | None
    players: int
    own: Standing | None
    items: tuple[Standing, ...]
    next_cursor: str | None
    tie_rule: str = TIE_RULE


@attrs.frozen
class GetBoard(Call[BoardPage | Refusal]):
    """To `BOARDS`: a cycle (None: the one that runs), the best first. `own` is a customer whose
    rank is wanted as well."""

    merchant_id: str
    board_id: str
    cycle: str | None = None
    own: str | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class GetListing(Call[bool]):
    """To `BOARDS`: whether a customer is on leaderboards."""

    merchant_id: str
    customer_id: str


@attrs.frozen
class SetListing(Call[bool | Refusal]):
    """To `BOARDS`: put a customer on leaderboards, or take them off, closed ones included."""

    merchant_id: str
    customer_id: str
    listed: bool
