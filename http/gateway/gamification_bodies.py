"""Badges, achievements, leaderboards and scores as clients send and see them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.gamification.checks import (
    MAX_CAP,
    MAX_CLOSES_AFTER_HOURS,
    MAX_DAYS,
    MAX_DESCRIPTION,
    MAX_GRACE_DAYS,
    MAX_PATTERN,
    MAX_SCORE_TERMS,
    MAX_WEIGHT,
)
from actors.gamification.messages import (
    MAX_TARGET,
    AchievementTerms,
    BadgeTerms,
    BoardPage,
    BoardTerms,
    Calendar,
    Comparison,
    CycleState,
    Definition,
    Metric,
    Recurrence,
    Rule,
    ScoreTerm,
    ScoreTerms,
    Signal,
    Standing,
    Window,
)
from gateway.bodies import END, TEXT_PATTERN, Body, Currency, Id, PageQuery, Text

Days = Annotated[int, Meta(ge=1, le=MAX_DAYS)]
HttpsUrl = Annotated[
    str,
    Meta(pattern=r"^https://[\x21-\x7e]{1,480}" + END, description="begins with https://"),
]
Pattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_PATTERN,
        pattern=TEXT_PATTERN,
        description="a regular expression that the whole article number matches",
    ),
]
CycleName = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Za-z-]{4,10}" + END,
        description="`2026`, `2026-Q4`, `2026-11`, `2026-W48`, `2026-11-26`, or `always`",
    ),
]
Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION, pattern=TEXT_PATTERN)]


class BadgeBody(Body, frozen=True, kw_only=True):
    """An inactive badge is awarded to nobody any more."""

    name: Text
    description: Description = ""
    image_url: HttpsUrl | None = None
    active: bool = True

    def terms(self) -> BadgeTerms:
        return BadgeTerms(**msgspec.structs.asdict(self))


class GameWindowBody(Body, frozen=True, kw_only=True):
    """Either the last `rolling_days`, or a unit of the `calendar` in the merchant's time zone; with
    neither, all time."""

    rolling_days: Days | None = None
    calendar: Calendar | None = None


class AchievementBody(Body, frozen=True, kw_only=True):
    """`metric` within `window`, compared with `target`, awards the badge.

    `currency` goes with `spend` and `largest_order`, `sku_pattern` with `items`, `grace_days` with
    `streak`. What recurs in `each_period` needs a window of the calendar.
    """

    name: Text
    badge_id: Id
    metric: Metric
    target: Annotated[int, Meta(ge=1, le=MAX_TARGET)]
    comparison: Comparison = Comparison.AT_LEAST
    window: GameWindowBody = GameWindowBody()
    currency: Currency | None = None
    sku_pattern: Pattern | None = None
    grace_days: Annotated[int, Meta(ge=0, le=MAX_GRACE_DAYS)] = 0
    recurrence: Recurrence = Recurrence.ONCE
    revocable: bool = True
    active: bool = True

    def terms(self) -> AchievementTerms:
        window = Window(rolling_days=self.window.rolling_days, calendar=self.window.calendar)
        rule = Rule(
            metric=self.metric,
            target=self.target,
            comparison=self.comparison,
            window=window,
            currency=self.currency,
            sku_pattern=self.sku_pattern,
            grace_days=self.grace_days,
        )
        return AchievementTerms(
            name=self.name,
            badge_id=self.badge_id,
            rule=rule,
            recurrence=self.recurrence,
            revocable=self.revocable,
            active=self.active,
        )


class BoardBody(Body, frozen=True, kw_only=True):
    """Who has most of `metric` in each `cycle`; null: of all time. `currency` as in rules."""

    name: Text
    metric: Metric
    cycle: Calendar | None = Calendar.MONTH
    currency: Currency | None = None
    closes_after_hours: Annotated[int, Meta(ge=0, le=MAX_CLOSES_AFTER_HOURS)] = 24
    active: bool = True

    def terms(self) -> BoardTerms:
        return BoardTerms(**msgspec.structs.asdict(self))


class ScoreTermBody(Body, frozen=True, kw_only=True):
    """`weight` for each of `signal`, at most `cap` of them; it halves with every
    `half_life_days` since the latest."""

    signal: Signal
    weight: Annotated[int, Meta(ge=1, le=MAX_WEIGHT)]
    cap: Annotated[int, Meta(ge=1, le=MAX_CAP)]
    half_life_days: Days
    within_days: Days = 365


class ScoreBody(Body, frozen=True, kw_only=True):
    """Each signal once."""

    terms: Annotated[tuple[ScoreTermBody, ...], Meta(min_length=1, max_length=MAX_SCORE_TERMS)]

    def score(self) -> ScoreTerms:
        return ScoreTerms(
            terms=tuple(ScoreTerm(**msgspec.structs.asdict(term)) for term in self.terms)
        )


class ListingBody(Body, frozen=True, kw_only=True):
    """Whether the member is on leaderboards."""

    listed: bool


class BoardQuery(PageQuery, frozen=True):
    """Without `cycle`, the one that runs. `customer_id`: whose own rank is wanted."""

    cycle: CycleName | None = None
    customer_id: Id | None = None


class BadgeView(msgspec.Struct, frozen=True, kw_only=True):
    badge_id: str
    name: str
    description: str
    image_url: str | None
    active: bool
    version: int
    changed_at: datetime | None


class AchievementView(msgspec.Struct, frozen=True, kw_only=True):
    achievement_id: str
    name: str
    badge_id: str
    metric: Metric
    target: int
    comparison: Comparison
    window: Window
    currency: str | None
    sku_pattern: str | None
    grace_days: int
    recurrence: Recurrence
    revocable: bool
    active: bool
    version: int
    changed_at: datetime | None


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    board_id: str
    name: str
    metric: Metric
    cycle: Calendar | None
    currency: str | None
    closes_after_hours: int
    active: bool
    version: int
    changed_at: datetime | None


class ScoreView(msgspec.Struct, frozen=True, kw_only=True):
    """Version 0 is built in."""

    version: int
    terms: tuple[ScoreTerm, ...]
    changed_at: datetime | None


class ListingView(msgspec.Struct, frozen=True, kw_only=True):
    customer_id: str
    listed: bool


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Members see the ids of nobody but themselves."""

    rank: int
    customer_id: str | None
    score: int
    reached_at: datetime


class BoardPageView(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a cycle. `first_day` and `last_day` are local days. A cycle that is `closed` does
    not change any more."""

    board_id: str
    name: str
    metric: Metric
    currency: str | None
    cycle: str
    first_day: str | None
    last_day: str | None
    state: CycleState
    closed_at: datetime | None
    tie_rule: str
    players: int
    own: Place | None
    items: tuple[Place, ...]
    next_cursor: str | None


def badge_view(definition: Definition) -> BadgeView:
    terms = definition.terms
    if not isinstance(terms, BadgeTerms):
        raise TypeError(f"{definition.definition_id} is no badge")
    return BadgeView(
        badge_id=definition.definition_id,
        name=terms.name,
        description=terms.description,
        image_url=terms.image_url,
        active=terms.active,
        version=definition.version,
        changed_at=definition.changed_at,
    )


def achievement_view(definition: Definition) -> AchievementView:
    terms = definition.terms
    if not isinstance(terms, AchievementTerms):
        raise TypeError(f"{definition.definition_id} is no achievement")
    rule = terms.rule
    return AchievementView(
        achievement_id=definition.definition_id,
        name=terms.name,
        badge_id=terms.badge_id,
        metric=rule.metric,
        target=rule.target,
        comparison=rule.comparison,
        window=rule.window,
        currency=rule.currency,
        sku_pattern=rule.sku_pattern,
        grace_days=rule.grace_days,
        recurrence=terms.recurrence,
        revocable=terms.revocable,
        active=terms.active,
        version=definition.version,
        changed_at=definition.changed_at,
    )


def board_view(definition: Definition) -> BoardView:
    terms = definition.terms
    if not isinstance(terms, BoardTerms):
        raise TypeError(f"{definition.definition_id} is no leaderboard")
    return BoardView(
        board_id=definition.definition_id,
        name=terms.name,
        metric=terms.metric,
        cycle=terms.cycle,
        currency=terms.currency,
        closes_after_hours=terms.closes_after_hours,
        active=terms.active,
        version=definition.version,
        changed_at=definition.changed_at,
    )


def score_view(definition: Definition) -> ScoreView:
    terms = definition.terms
    if not isinstance(terms, ScoreTerms):
        raise TypeError(f"{definition.definition_id} is no score")
    return ScoreView(
        version=definition.version, terms=terms.terms, changed_at=definition.changed_at
    )


def board_page_view(page: BoardPage, seen_by: str | None) -> BoardPageView:
    """`seen_by` is the member who looks; staff sees everybody's id."""
    return BoardPageView(
        board_id=page.board_id,
        name=page.name,
        metric=page.metric,
        currency=page.currency,
        cycle=page.cycle,
        first_day=page.first_day,
        last_day=page.last_day,
        state=page.state,
        closed_at=page.closed_at,
        tie_rule=page.tie_rule,
        players=page.players,
        own=_place(page.own, seen_by) if page.own is not None else None,
        items=tuple(_place(standing, seen_by) for standing in page.items),
        next_cursor=page.next_cursor,
    )


def _place(standing: Standing, seen_by: str | None) -> Place:
    shown = seen_by in (None, standing.customer_id)
    return Place(
        rank=standing.rank,
        customer_id=standing.customer_id if shown else None,
        score=standing.score,
        reached_at=standing.reached_at,
    )
