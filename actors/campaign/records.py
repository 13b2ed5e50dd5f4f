"""Between the campaign domain's values and its tables."""

from datetime import datetime

import attrs
import msgspec

from actors.campaign.messages import (
    CAMPAIGN_CHANGED,
    RULE_KINDS,
    AudienceState,
    Campaign,
    CampaignChanged,
    CampaignState,
    CampaignVersion,
    Definition,
    FrozenAudience,
)
from actors.campaign.moves import CANCELLED, RUNNING, next_due
from actors.campaign.queries import (
    CLOSE_RUN,
    INSERT_CAMPAIGN,
    INSERT_CHANGE,
    INSERT_VERSION,
    OPEN_RUN,
    PUT_CAMPAIGN,
    TURN_PAGE,
    VOID_RUNS,
)
from runtime.outbox import OutboxEvent
from runtime.storage import Entry, Row, Write
from runtime.storage.outbox import event_write


def definition_of(kept: object) -> Definition:
    return msgspec.convert(kept, Definition)


def campaign_of(row: Row) -> Campaign:
    """A row of `COLUMNS`."""
    return Campaign(
        campaign_id=row["campaign_id"],
        state=CampaignState(row["state"]),
        version=row["version"],
        revision=row["revision"],
        definition=definition_of(row["definition"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        audience=FrozenAudience(
            state=AudienceState(row["audience_state"]),
            members=row["audience_members"],
            frozen_at=row["frozen_at"],
            source_run=row["source_run"],
            source_as_of=row["source_as_of"],
        ),
        held=row["held"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def version_of(row: Row) -> CampaignVersion:
    return CampaignVersion(
        version=row["version"],
        definition=definition_of(row["definition"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def new_entry(merchant_id: str, campaign: Campaign, by: str) -> Entry:
    row = (
        merchant_id,
        campaign.campaign_id,
        campaign.definition.kind.value,
        campaign.state.value,
        campaign.version,
        campaign.revision,
        campaign.starts_at,
        campaign.ends_at,
        campaign.created_at,
        campaign.updated_at,
    )
    return (Write(INSERT_CAMPAIGN, row), version_write(merchant_id, campaign, by))


def version_write(merchant_id: str, campaign: Campaign, by: str) -> Write:
    row = (
        merchant_id,
        campaign.campaign_id,
        campaign.version,
        msgspec.to_builtins(campaign.definition),
        by,
        campaign.updated_at,
    )
    return Write(INSERT_VERSION, row)


def campaign_write(merchant_id: str, campaign: Campaign) -> Write:
    """Undoes its entry when the campaign was changed since it was read."""
    audience = campaign.audience
    row = (
        merchant_id,
        campaign.campaign_id,
        campaign.revision,
        campaign.state.value,
        campaign.version,
        campaign.starts_at,
        campaign.ends_at,
        campaign.started_at,
        campaign.ended_at,
        next_due(campaign),
        campaign.held,
        audience.state.value,
        audience.members,
        audience.frozen_at,
        audience.source_run,
        audience.source_as_of,
        campaign.updated_at,
    )
    return Write(PUT_CAMPAIGN, row)


def next_revision(campaign: Campaign, now: datetime) -> Campaign:
    return attrs.evolve(campaign, revision=campaign.revision + 1, updated_at=now)


def move_entry(
    merchant_id: str, before: Campaign, after: Campaign, by: str, event_id: str, at: datetime
) -> Entry:
    """All that is written when a campaign goes from `before` to `after`, the next revision.

    `at` is when the move counts: a run of a rule begins or ends then.
    """
    writes = [campaign_write(merchant_id, after)]
    if before.state is after.state:
        return tuple(writes)
    change = (
        merchant_id,
        after.campaign_id,
        after.revision,
        before.state.value,
        after.state.value,
        after.version,
        by,
        after.updated_at,
    )
    writes.append(Write(INSERT_CHANGE, change))
    if after.definition.kind in RULE_KINDS:
        writes += _run_writes(merchant_id, before, after, at)
    writes.append(event_write(_event(merchant_id, before, after, event_id)))
    return tuple(writes)


def _run_writes(merchant_id: str, before: Campaign, after: Campaign, at: datetime) -> list[Write]:
    campaign_id = after.campaign_id
    writes = []
    if before.state is RUNNING:
        writes.append(Write(CLOSE_RUN, (merchant_id, campaign_id, at)))
    if after.state is RUNNING:
        run = (merchant_id, campaign_id, after.revision, after.version, at)
        writes.append(Write(OPEN_RUN, run))
    if after.state is CANCELLED:
        writes.append(Write(VOID_RUNS, (merchant_id, campaign_id)))
    return [*writes, Write(TURN_PAGE, (merchant_id, 1))]


def _event(merchant_id: str, before: Campaign, after: Campaign, event_id: str) -> OutboxEvent:
    payload = CampaignChanged(
        campaign_id=after.campaign_id,
        kind=after.definition.kind,
        revision=after.revision,
        from_state=before.state,
        to_state=after.state,
        version=after.version,
        changed_at=after.updated_at,
    )
    return OutboxEvent(
        merchant_id=merchant_id,
        event_id=event_id,
        topic=CAMPAIGN_CHANGED,
        key=after.campaign_id,
        payload=msgspec.to_builtins(payload),
        created_at=after.updated_at,
    )
