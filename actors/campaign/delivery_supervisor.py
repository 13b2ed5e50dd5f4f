"""The children and the tables of the domain's messages."""

from actors.campaign.broadcasts import Broadcasts
from actors.campaign.delivery_messages import BROADCASTS
from runtime import REFUSING, ChildSpec
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("campaign_deliveries", "actors.campaign.delivery_migrations")


def delivery_children(database: Database) -> tuple[ChildSpec, ...]:
    """Those that messages need, beside the actors of campaigns."""
    return (
        ChildSpec("broadcasts", lambda: Broadcasts(database), name=BROADCASTS, mailbox=REFUSING),
    )
