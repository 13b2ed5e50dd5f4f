"""A campaign's life: creating and changing it, its states, and what it has done so far."""

from datetime import datetime
from enum import Enum

import attrs

from actors.campaign.messages.definitions import Budget, CampaignKind, Definition
from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call

CAMPAIGNS = "campaign.campaigns"
"""Name of the actor that writes campaigns and moves them from state to state."""

QUERIES = "campaign.queries"
"""Name of the actor that reads them."""

CAMPAIGN_CHANGED = "campaign.changed"
"""Topic of the outbox event that follows every change of a campaign's state, in the transaction
of the change; its key is the campaign's id, its payload `CampaignChanged`."""


class CampaignState(Enum):
    """From `DRAFT` and `SCHEDULED` to `RUNNING`, to and fro between that and `PAUSED`, until it is
    `COMPLETED` or `CANCELLED`, which are for good."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class AudienceState(Enum):
    """`OPEN`: not written down, because it is not started yet or everybody belongs to it."""

    OPEN = "open"
    FREEZING = "freezing"
    FROZEN = "frozen"


@attrs.frozen(kw_only=True)
class FrozenAudience:
    """Who a campaign is for, as it was written down. Segments are those of the run `source_run`,
    computed as of `source_as_of`."""

    state: AudienceState = AudienceState.OPEN
    members: int = 0
    frozen_at: datetime | None = None
    source_run: str | None = None
    source_as_of: datetime | None = None


@attrs.frozen(kw_only=True)
class Campaign:
    """A campaign as it is now. `version` counts changes of the definition, `revision` every change.

    `starts_at` and `ends_at` are the schedule's times in UTC. One that is `SCHEDULED` and whose
    audience is `FREEZING` is about to run. `held` says why it does not, although it is due.
    """

    campaign_id: str
    state: CampaignState
    version: int
    revision: int
    definition: Definition
    starts_at: datetime | None
    ends_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    audience: FrozenAudience
    held: str | None
    created_at: datetime
    updated_at: datetime


@attrs.frozen
class CreatedCampaign:
    campaign: Campaign
    replayed: bool = False


@attrs.frozen(kw_only=True)
class CreateCampaign(Call[CreatedCampaign | Refusal]):
    """To `CAMPAIGNS`: a new draft."""

    merchant_id: str
    definition: Definition
    by: str
    idempotency: Idempotency | None = None


@attrs.frozen(kw_only=True)
class ChangeCampaign(Call[Campaign | Refusal]):
    """To `CAMPAIGNS`: the next version, in `DRAFT`, `SCHEDULED` or `PAUSED`. The kind stays, and
    once it was started, the audience too. The same definition again changes nothing.
    """

    merchant_id: str
    campaign_id: str
    definition: Definition
    by: str


class Move(Enum):
    """`START` begins at once, or at the time of the schedule if that is yet to come; of a campaign
    that is scheduled already, at once. `COMPLETE` is for those who have sent all that it was to
    send, and for no client."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    COMPLETE = "complete"


@attrs.frozen(kw_only=True)
class MoveCampaign(Call[Campaign | Refusal]):
    """To `CAMPAIGNS`. What has been done already is answered with the campaign as it is."""

    merchant_id: str
    campaign_id: str
    move: Move
    by: str


@attrs.frozen(kw_only=True)
class CampaignChanged:
    """Payload of the outbox event. `revision` is that of the campaign after the change, `version`
    that of the definition in force."""

    campaign_id: str
    kind: CampaignKind
    revision: int
    from_state: CampaignState
    to_state: CampaignState
    version: int
    changed_at: datetime


@attrs.frozen
class GetCampaign(Call[Campaign | None]):
    merchant_id: str
    campaign_id: str


@attrs.frozen(kw_only=True)
class ListCampaigns(Call[Page[Campaign] | Refusal]):
    """Newest first."""

    merchant_id: str
    state: CampaignState | None = None
    kind: CampaignKind | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class CampaignVersion:
    version: int
    definition: Definition
    created_by: str
    created_at: datetime


@attrs.frozen
class GetVersion(Call[CampaignVersion | None]):
    """A definition as it was; those who carry out version n do so by it."""

    merchant_id: str
    campaign_id: str
    version: int


@attrs.frozen
class ListVersions(Call[Page[CampaignVersion] | Refusal]):
    """Newest first."""

    merchant_id: str
    campaign_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class ListMembers(Call[tuple[str, ...]]):
    """To `QUERIES`: customers of the frozen audience whose id comes after `after`, in the order of
    their ids; fewer than `limit` at the end."""

    merchant_id: str
    campaign_id: str
    after: str = ""
    limit: int = 500


MAX_MEMBERS = 1_000
"""Members in one answer."""


@attrs.frozen(kw_only=True)
class Spent:
    """Points given, what they cost, how often, and to how many members; net of what was taken back
    since."""

    points: int = 0
    money_minor: int = 0
    count: int = 0
    members: int = 0


@attrs.frozen(kw_only=True)
class CampaignStats:
    """`left` is the rest of the overall budget, where that has limits."""

    campaign_id: str
    kind: CampaignKind
    state: CampaignState
    version: int
    audience: FrozenAudience
    spent: Spent
    left: Budget
    as_of: datetime


@attrs.frozen
class GetStats(Call[CampaignStats | None]):
    merchant_id: str
    campaign_id: str
