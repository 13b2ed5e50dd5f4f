"""The campaign domain's children, and its jobs."""

from actors.campaign.campaigns import Campaigns
from actors.campaign.delivery_supervisor import delivery_children
from actors.campaign.due import CLOCK, Clock
from actors.campaign.freezing import FREEZE, FREEZING, FreezeAudience
from actors.campaign.messages import CAMPAIGNS, QUERIES, RULES
from actors.campaign.readers import CampaignReaders
from actors.campaign.rulebook import Rulebook
from actors.campaign.segments import SegmentSource
from runtime import REFUSING, ChildSpec
from runtime.jobs import JobsSpec
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("campaign", "actors.campaign.migrations")


def campaign_children(database: Database) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start."""
    return (
        ChildSpec("rules", lambda: Rulebook(database), name=RULES, mailbox=REFUSING),
        ChildSpec("queries", lambda: CampaignReaders(database), name=QUERIES, mailbox=REFUSING),
        ChildSpec("campaigns", lambda: Campaigns(database), name=CAMPAIGNS, mailbox=REFUSING),
        ChildSpec("clock", lambda: Clock(database), name=CLOCK, mailbox=REFUSING),
        *delivery_children(database),
    )


def campaign_jobs(database: Database, segments: SegmentSource) -> JobsSpec:
    """What is done behind the campaigns. `segments` tells who is in which."""
    return JobsSpec(queues=(FREEZING,), handlers={FREEZE: FreezeAudience(database, segments)})
