"""The bodies of runs, segments and their configuration, in and out."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from actors.rfm_analytics.messages import (
    AT_PATTERN,
    RULES_MAX,
    SCORE_MAX,
    SEGMENT_PATTERN,
    CustomerRfm,
    CustomerScores,
    HistoryEntry,
    RfmConfig,
    RfmTerms,
    Rhythm,
    RunSchedule,
    Scores,
    Scoring,
    SegmentMembers,
    SegmentRule,
    Segments,
    SegmentSummary,
)
from gateway.bodies import END, Body, Currency, Cursor, Id, Instant, Limit, Text
from runtime.policies import Answer

ScoreBound = Annotated[int, Meta(ge=1, le=SCORE_MAX)]
SegmentName = Annotated[
    str, Meta(pattern=f"^{SEGMENT_PATTERN}{END}", description="1 to 40 of a-z 0-9 _")
]


class RunBody(Body, frozen=True, kw_only=True):
    """`as_of` is now where it is left out, and cannot be in the future."""

    as_of: Instant | None = None


class ScoresBody(Body, frozen=True, kw_only=True):
    """Scores from `min` to `max`, both included."""

    min: ScoreBound = 1
    max: ScoreBound = SCORE_MAX

    def scores(self) -> Scores:
        return Scores(self.min, self.max)


class SegmentBody(Body, frozen=True, kw_only=True):
    """Who has scores within all three ranges; what is left out has any."""

    name: SegmentName
    recency: ScoresBody = ScoresBody()
    frequency: ScoresBody = ScoresBody()
    monetary: ScoresBody = ScoresBody()

    def rule(self) -> SegmentRule:
        return SegmentRule(
            segment=self.name,
            recency=self.recency.scores(),
            frequency=self.frequency.scores(),
            monetary=self.monetary.scores(),
        )


class ScheduleBody(Body, frozen=True, kw_only=True):
    """Daily at `at` in `time_zone`, or hourly at `minute`, or off."""

    rhythm: Rhythm = Rhythm.DAILY
    at: Annotated[str, Meta(pattern=f"^{AT_PATTERN}{END}", description="HH:MM")] = "03:00"
    time_zone: Text = "UTC"
    minute: Annotated[int, Meta(ge=0, le=59)] = 0


class ConfigBody(Body, frozen=True, kw_only=True):
    """What is left out is as for those who never chose. The first of `segments` that matches
    decides, and for all scores one has to."""

    scoring: Scoring = Scoring.QUINTILE
    segments: (
        Annotated[tuple[SegmentBody, ...], Meta(min_length=1, max_length=RULES_MAX)] | None
    ) = None
    currency: Currency | None = None
    schedule: ScheduleBody = ScheduleBody()

    def terms(self) -> RfmTerms:
        rules = RfmTerms().rules
        if self.segments is not None:
            rules = tuple(segment.rule() for segment in self.segments)
        return RfmTerms(
            scoring=self.scoring,
            rules=rules,
            currency=self.currency,
            schedule=RunSchedule(**msgspec.structs.asdict(self.schedule)),
        )


class SegmentsQuery(Body, frozen=True):
    run_id: Id | None = None


class MembersQuery(Body, frozen=True):
    run_id: Id | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class SegmentView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    recency: Scores
    frequency: Scores
    monetary: Scores


class ConfigView(msgspec.Struct, frozen=True, kw_only=True):
    """Version 0 was never chosen."""

    version: int
    scoring: Scoring
    segments: tuple[SegmentView, ...]
    currency: str | None
    schedule: RunSchedule


class SegmentsView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`as_of` says of when they are. `degraded`: they could not be read now, and this is how they
    were `age_s` seconds ago."""

    run_id: str | None
    as_of: datetime | None
    published_at: datetime | None
    currency: str | None
    customers: int
    segments: tuple[SegmentSummary, ...]
    degraded: bool = False
    age_s: int = 0


class MembersView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page; all pages are of one run. `degraded` as of segments."""

    run_id: str | None
    as_of: datetime | None
    items: tuple[CustomerScores, ...]
    next_cursor: str | None
    degraded: bool = False
    age_s: int = 0


class MatchedView(msgspec.Struct, frozen=True, kw_only=True):
    """The segment of the configuration, counted from 1, that matched first."""

    rule: int
    name: str
    recency: Scores
    frequency: Scores
    monetary: Scores


class CustomerRfmView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Scores, recency and rule are null for a `prospect`. The latest of `history` first."""

    customer_id: str
    run_id: str
    as_of: datetime
    scoring: Scoring
    currency: str
    segment: str
    recency_score: int | None
    frequency_score: int | None
    monetary_score: int | None
    recency_days: int | None
    last_ordered_at: datetime | None
    frequency: int
    monetary_minor: int
    matched: MatchedView | None
    history: tuple[HistoryEntry, ...]
    degraded: bool = False
    age_s: int = 0


def config_view(config: RfmConfig) -> ConfigView:
    terms = config.terms
    return ConfigView(
        version=config.version,
        scoring=terms.scoring,
        segments=tuple(map(_segment_view, terms.rules)),
        currency=terms.currency,
        schedule=terms.schedule,
    )


def _segment_view(rule: SegmentRule) -> SegmentView:
    return SegmentView(
        name=rule.segment,
        recency=rule.recency,
        frequency=rule.frequency,
        monetary=rule.monetary,
    )


def segments_view(found: Answer[Any], segments: Segments) -> SegmentsView:
    return SegmentsView(
        run_id=segments.run_id,
        as_of=segments.as_of,
        published_at=segments.published_at,
        currency=segments.currency,
        customers=segments.customers,
        segments=segments.segments,
        degraded=found.degraded,
        age_s=round(found.age_s),
    )


def members_view(found: Answer[Any], members: SegmentMembers) -> MembersView:
    return MembersView(
        run_id=members.run_id,
        as_of=members.as_of,
        items=members.items,
        next_cursor=members.next_cursor,
        degraded=found.degraded,
        age_s=round(found.age_s),
    )


def customer_view(found: Answer[Any], customer: CustomerRfm) -> CustomerRfmView:
    scores = customer.scores
    return CustomerRfmView(
        customer_id=scores.customer_id,
        run_id=customer.run_id,
        as_of=customer.as_of,
        scoring=customer.scoring,
        currency=customer.currency,
        segment=scores.segment,
        recency_score=scores.recency_score,
        frequency_score=scores.frequency_score,
        monetary_score=scores.monetary_score,
        recency_days=scores.recency_days,
        last_ordered_at=scores.last_ordered_at,
        frequency=scores.frequency,
        monetary_minor=scores.monetary_minor,
        matched=_matched(customer),
        history=customer.history,
        degraded=found.degraded,
        age_s=round(found.age_s),
    )


def _matched(customer: CustomerRfm) -> MatchedView | None:
    rule, place = customer.matched, customer.scores.rule
    if rule is None or place is None:
        return None
    return MatchedView(
        rule=place,
        name=rule.segment,
        recency=rule.recency,
        frequency=rule.frequency,
        monetary=rule.monetary,
    )
