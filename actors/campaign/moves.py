"""How a campaign moves from state to state: pure decisions."""

from datetime import datetime

import attrs

from actors.campaign.messages import (
    RULE_KINDS,
    AudienceKind,
    AudienceState,
    Campaign,
    CampaignState,
    Definition,
    FrozenAudience,
    Move,
)
from actors.vocabulary import Refusal, RefusalKind

DRAFT, SCHEDULED, RUNNING, PAUSED = (
    CampaignState.DRAFT,
    CampaignState.SCHEDULED,
    CampaignState.RUNNING,
    CampaignState.PAUSED,
)
COMPLETED, CANCELLED = CampaignState.COMPLETED, CampaignState.CANCELLED

ENDED = frozenset({COMPLETED, CANCELLED})
CHANGEABLE = frozenset({DRAFT, SCHEDULED, PAUSED})

FROM: dict[Move, frozenset[CampaignState]] = {
    Move.START: frozenset({DRAFT, SCHEDULED}),
    Move.PAUSE: frozenset({RUNNING}),
    Move.RESUME: frozenset({PAUSED}),
    Move.CANCEL: frozenset({DRAFT, SCHEDULED, RUNNING, PAUSED}),
    Move.COMPLETE: frozenset({RUNNING, PAUSED}),
}
DONE: dict[Move, frozenset[CampaignState]] = {
    Move.START: frozenset({RUNNING}),
    Move.PAUSE: frozenset({PAUSED}),
    Move.RESUME: frozenset({RUNNING}),
    Move.CANCEL: frozenset({CANCELLED}),
    Move.COMPLETE: ENDED,
}
"""The states in which a move has been made already."""


def needs_freezing(definition: Definition) -> bool:
    """Whether its audience is written down: all but everybody of a rule on earn."""
    return definition.audience.kind is not AudienceKind.ALL or definition.kind not in RULE_KINDS


def is_freezing(campaign: Campaign) -> bool:
    return campaign.audience.state is AudienceState.FREEZING


def moved(campaign: Campaign, move: Move, now: datetime) -> Campaign | Refusal:
    """The campaign after `move`; itself where that has been done already.

    One whose audience has to be written down first is scheduled, and freezing.
    """
    if campaign.state in DONE[move] or (move is Move.START and is_freezing(campaign)):
        return campaign
    if campaign.state not in FROM[move]:
        detail = f"a campaign that is {campaign.state.value} cannot {move.value}"
        return Refusal(RefusalKind.CONFLICT, "campaign_state", detail)
    if move is Move.CANCEL:
        return ended(campaign, CANCELLED, now)
    if move is Move.COMPLETE:
        return ended(campaign, COMPLETED, now)
    if move is Move.PAUSE:
        return attrs.evolve(campaign, state=PAUSED)
    if is_over(campaign, now):
        return Refusal(RefusalKind.CONFLICT, "campaign_over", "the time of its end has passed")
    if move is Move.RESUME:
        return attrs.evolve(campaign, state=RUNNING)
    early = campaign.starts_at is not None and campaign.starts_at > now
    if campaign.state is DRAFT and early:
        return attrs.evolve(campaign, state=SCHEDULED)
    return begun(campaign, now)


def is_over(campaign: Campaign, now: datetime) -> bool:
    return campaign.ends_at is not None and campaign.ends_at <= now


def begun(campaign: Campaign, now: datetime) -> Campaign:
    """Running, or about to as soon as its audience is written down."""
    if needs_freezing(campaign.definition) and campaign.audience.state is AudienceState.OPEN:
        audience = FrozenAudience(state=AudienceState.FREEZING)
        return attrs.evolve(campaign, state=SCHEDULED, audience=audience, started_at=now)
    return running(campaign, now)


def running(campaign: Campaign, now: datetime) -> Campaign:
    """Running since the time of its schedule, if that is why it starts."""
    since = campaign.started_at if campaign.started_at is not None else now
    return attrs.evolve(campaign, state=RUNNING, started_at=since, held=None)


def ended(campaign: Campaign, state: CampaignState, at: datetime) -> Campaign:
    return attrs.evolve(campaign, state=state, ended_at=at, held=None)


def came_due(campaign: Campaign, now: datetime) -> Campaign:
    """The campaign after what its schedule says for `now`; itself where that is nothing.

    What was due while nobody looked counts from the time it was due at. One that never started
    before its end is over.
    """
    if campaign.state in ENDED or campaign.state is DRAFT or is_freezing(campaign):
        return campaign
    ends_at, starts_at = campaign.ends_at, campaign.starts_at
    if ends_at is not None and ends_at <= now:
        state = CANCELLED if campaign.state is SCHEDULED else COMPLETED
        return ended(campaign, state, ends_at)
    if campaign.state is SCHEDULED and starts_at is not None and starts_at <= now:
        return begun(campaign, starts_at)
    return campaign


def next_due(campaign: Campaign) -> datetime | None:
    """When the schedule has something for it."""
    if is_freezing(campaign) and campaign.state is SCHEDULED:
        return None
    if campaign.state is SCHEDULED:
        return campaign.starts_at
    return campaign.ends_at if campaign.state in {RUNNING, PAUSED} else None


def check_change(campaign: Campaign, definition: Definition, now: datetime) -> Refusal | None:
    """What must hold of the next version, beside what holds of every definition."""
    if campaign.state not in CHANGEABLE:
        detail = f"a campaign that is {campaign.state.value} is not changed"
        return Refusal(RefusalKind.CONFLICT, "campaign_state", detail)
    if is_freezing(campaign):
        detail = "its audience is being written down; it is about to run"
        return Refusal(RefusalKind.CONFLICT, "campaign_starting", detail)
    if definition.kind is not campaign.definition.kind:
        return Refusal(RefusalKind.CONFLICT, "campaign_kind", "the kind of a campaign stays")
    if campaign.state is PAUSED and definition.audience != campaign.definition.audience:
        detail = "the audience was settled when the campaign started"
        return Refusal(RefusalKind.CONFLICT, "audience_frozen", detail)
    if campaign.state is SCHEDULED and definition.schedule.starts_at is None:
        detail = "a scheduled campaign has a time to start at"
        return Refusal(RefusalKind.INVALID, "invalid_campaign", detail)
    return None
