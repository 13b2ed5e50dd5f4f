"""What other parts of LoyalNest may ask the domain of segments, and what it tells them."""

from datetime import datetime, timedelta
from enum import Enum

import attrs

from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call

RUNS = "rfm_analytics.runs"
"""Name of the actor that begins runs and keeps configurations."""

QUERIES = "rfm_analytics.queries"
"""Name of the actor that reads runs and segments."""

SEGMENTS_CHANGED = "rfm_analytics.segments_changed"
"""Topic of the outbox events that tell who came into another segment, soon after the run was
published; payload: `SegmentsChanged`. The first run of a merchant tells of nobody."""

RUN_PUBLISHED = "rfm_analytics.run_published"
"""Topic of the outbox event of every run that was published; payload: `RunPublished`."""

EVENT_KEY = "segments"
"""Key of both, so that what is told of one merchant comes in order."""

PROSPECT = "prospect"
"""The segment of customers without a qualifying order, who have no scores."""

SCORE_MAX = 5
RULES_MAX = 60
MEMBERS_MAX = 1_000
"""Members on one page."""

SEGMENT_PATTERN = r"[a-z][a-z0-9_]{0,39}"
AT_PATTERN = r"([01][0-9]|2[0-3]):[0-5][0-9]"
"""What names of segments and times of a day look like, as a whole."""

FRESH = timedelta(hours=48)
"""Segments that are older are not to be acted upon."""


class Scoring(Enum):
    """Bands of about a fifth of the customers each, or fixed thresholds."""

    QUINTILE = "quintile"
    THRESHOLD = "threshold"


class Rhythm(Enum):
    OFF = "off"
    HOURLY = "hourly"
    DAILY = "daily"


@attrs.frozen(kw_only=True)
class RunSchedule:
    """When runs begin by themselves: each day at `at` (`HH:MM`) in the IANA zone `time_zone`, or
    each hour at `minute`."""

    rhythm: Rhythm = Rhythm.DAILY
    at: str = "03:00"
    time_zone: str = "UTC"
    minute: int = 0


@attrs.frozen
class Scores:
    """From `min` to `max`, both included."""

    min: int = 1
    max: int = SCORE_MAX

    def has(self, score: int) -> bool:
        return self.min <= score <= self.max


@attrs.frozen(kw_only=True)
class SegmentRule:
    """Who has all three scores is of the segment, unless an earlier rule matched."""

    segment: str
    recency: Scores = Scores()
    frequency: Scores = Scores()
    monetary: Scores = Scores()


def _rule(segment: str, recency: Scores, frequency: Scores) -> SegmentRule:
    return SegmentRule(segment=segment, recency=recency, frequency=frequency)


DEFAULT_RULES = (
    _rule("champions", Scores(5, 5), Scores(4, 5)),
    _rule("loyal", Scores(3, 4), Scores(4, 5)),
    _rule("potential_loyalist", Scores(4, 5), Scores(2, 3)),
    _rule("new", Scores(5, 5), Scores(1, 1)),
    _rule("promising", Scores(4, 4), Scores(1, 1)),
    _rule("need_attention", Scores(3, 3), Scores(3, 3)),
    _rule("about_to_sleep", Scores(3, 3), Scores(1, 2)),
    _rule("cant_lose", Scores(1, 2), Scores(5, 5)),
    _rule("at_risk", Scores(1, 2), Scores(3, 4)),
    _rule("hibernating", Scores(1, 2), Scores(1, 2)),
)


@attrs.frozen(kw_only=True)
class RfmTerms:
    """How a merchant's customers are scored and segmented, and when.

    Orders count that are in `currency`; None is the currency of the merchant. The first of
    `rules` that matches decides, and for all scores one has to.
    """

    scoring: Scoring = Scoring.QUINTILE
    rules: tuple[SegmentRule, ...] = DEFAULT_RULES
    currency: str | None = None
    schedule: RunSchedule = RunSchedule()


@attrs.frozen
class RfmConfig:
    """Version 0 is what holds for merchants that never chose."""

    version: int
    terms: RfmTerms


class RunState(Enum):
    """`QUEUED → RUNNING → PUBLISHED | FAILED | SKIPPED`; readers see published ones only."""

    QUEUED = "queued"
    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "failed"
    SKIPPED = "skipped"


class StartedBy(Enum):
    """`CATCH_UP`: by the schedule, later than it says, for what was missed."""

    REQUEST = "request"
    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"


@attrs.frozen(kw_only=True)
class Run:
    """One scoring of all customers of a merchant, as of `as_of`.

    `customers` counts those looked at so far, `scored` those of them who have qualifying orders,
    `orders` and `revenue_minor` these orders, in `currency`. `foreign_orders` are in another
    currency and do not count. `reason` says why a run failed or was skipped.
    """

    run_id: str
    state: RunState
    started_by: StartedBy
    as_of: datetime
    currency: str
    config_version: int
    scoring: Scoring
    created_at: datetime
    begun_at: datetime | None = None
    published_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    attempts: int = 0
    customers: int = 0
    scored: int = 0
    orders: int = 0
    revenue_minor: int = 0
    foreign_orders: int = 0


@attrs.frozen
class StartedRun:
    """`replayed`: it is the first answer again, for the same idempotency key."""

    run: Run
    replayed: bool = False


@attrs.frozen
class StartRun(Call[StartedRun | Refusal]):
    """To `RUNS`: begin a run, unless one of the merchant is under way (`run_in_progress`).

    `as_of` is now where it is None, and not later. Answered once the run is durably queued.
    """

    merchant_id: str
    as_of: datetime | None = None
    idempotency: Idempotency | None = None


@attrs.frozen
class PutConfig(Call[RfmConfig | Refusal]):
    """To `RUNS`: from the next run on. Refused when the rules are not total
    (`segments_not_total`)."""

    merchant_id: str
    terms: RfmTerms


@attrs.frozen
class GetConfig(Call[RfmConfig]):
    """To `QUERIES`."""

    merchant_id: str


@attrs.frozen
class GetRun(Call[Run | None]):
    """To `QUERIES`."""

    merchant_id: str
    run_id: str


@attrs.frozen
class ListRuns(Call[Page[Run] | Refusal]):
    """To `QUERIES`; the newest first."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class SegmentSummary:
    """`share` is of all customers; `revenue_minor` of their qualifying orders, net of refunds."""

    name: str
    customers: int
    share: float
    orders: int
    revenue_minor: int


@attrs.frozen
class Segments:
    """The segments of one run, in the order of the rules; without a run, all are empty."""

    run_id: str | None
    as_of: datetime | None
    published_at: datetime | None
    currency: str | None
    customers: int
    segments: tuple[SegmentSummary, ...]


@attrs.frozen
class GetSegments(Call[Segments | Refusal]):
    """To `QUERIES`: those of the newest published run, or of the one named."""

    merchant_id: str
    run_id: str | None = None


@attrs.frozen(kw_only=True)
class CustomerScores:
    """A customer in a run. Scores, rule and recency are None for a `prospect`.

    `rule` is the place of the rule that matched, from 1; `frequency` counts qualifying orders.
    """

    customer_id: str
    segment: str
    rule: int | None
    recency_score: int | None
    frequency_score: int | None
    monetary_score: int | None
    recency_days: int | None
    last_ordered_at: datetime | None
    frequency: int
    monetary_minor: int


@attrs.frozen
class SegmentMembers:
    """One page of a segment's members, all pages of one run."""

    run_id: str | None
    as_of: datetime | None
    items: tuple[CustomerScores, ...]
    next_cursor: str | None


@attrs.frozen
class ListSegmentCustomers(Call[SegmentMembers | Refusal]):
    """To `QUERIES`: by customer id, of the run named, else of the newest one published when the
    first page was asked for. Refused when there is no such segment, or the run's customers are
    not kept any more."""

    merchant_id: str
    segment: str
    run_id: str | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """From this run on the customer had these scores and this segment."""

    run_id: str
    as_of: datetime
    segment: str
    previous_segment: str | None
    rule: int | None
    recency_score: int | None
    frequency_score: int | None
    monetary_score: int | None


@attrs.frozen(kw_only=True)
class CustomerRfm:
    """A customer in the newest run, why, and how it was before: the latest changes first, at most
    `HISTORY_SHOWN`."""

    run_id: str
    as_of: datetime
    currency: str
    scoring: Scoring
    scores: CustomerScores
    matched: SegmentRule | None
    history: tuple[HistoryEntry, ...]


HISTORY_SHOWN = 50


@attrs.frozen
class GetCustomerRfm(Call[CustomerRfm | Refusal]):
    """To `QUERIES`."""

    merchant_id: str
    customer_id: str


@attrs.frozen
class Preview:
    """What segments the newest run would have had with other terms; `now` are those it has."""

    run_id: str
    as_of: datetime
    scoring: Scoring
    segments: tuple[SegmentSummary, ...]
    now: tuple[SegmentSummary, ...]
    unmatched_rules: tuple[int, ...]


@attrs.frozen
class PreviewTerms(Call[Preview | Refusal]):
    """To `QUERIES`: counted from what the newest run has kept of all scores, without scoring
    anybody. Refused as by `PutConfig`, and before the first run (`no_segments_yet`)."""

    merchant_id: str
    terms: RfmTerms


@attrs.frozen
class NewestRun:
    """The run that is served. `fresh` at `now`: young enough to act upon."""

    run_id: str
    as_of: datetime
    published_at: datetime
    segments: tuple[str, ...]

    def age_s(self, now: datetime) -> float:
        return (now - self.as_of).total_seconds()

    def fresh(self, now: datetime) -> bool:
        return now - self.as_of <= FRESH


@attrs.frozen
class GetNewestRun(Call[NewestRun | None]):
    """To `QUERIES`: for who wants to pin a run, or to know how old the segments are."""

    merchant_id: str


@attrs.frozen
class Members:
    """Customer ids in ascending order; `next_after` goes into the next question, None at the
    end."""

    customer_ids: tuple[str, ...]
    next_after: str | None


@attrs.frozen
class ListMembers(Call[Members | Refusal]):
    """To `QUERIES`: who was in a segment in the run, which never changes; at most `MEMBERS_MAX`
    a page, none of a segment that there is not. Refused when the run was not published
    (`run_unknown`), or its members are not kept any more (`run_not_kept`), which they are until
    three newer runs are published and an hour has passed."""

    merchant_id: str
    run_id: str
    segment: str
    after: str = ""
    limit: int = MEMBERS_MAX


@attrs.frozen
class SegmentChange:
    """`from_segment` is None for who was not there at the run before."""

    customer_id: str
    from_segment: str | None
    to_segment: str


@attrs.frozen
class SegmentsChanged:
    """Payload of an outbox event: some of those who came into another segment with a run."""

    run_id: str
    as_of: datetime
    changes: tuple[SegmentChange, ...]


@attrs.frozen
class RunPublished:
    """Payload of the outbox event."""

    run_id: str
    as_of: datetime
