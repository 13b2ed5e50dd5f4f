"""The points domain's children."""

from pathlib import Path

from actors.admin_features.messages import Defaults, Flags
from actors.points.account import Account
from actors.points.campaign_rules import LastRules
from actors.points.deferrals import Deferrals, OpenSpool
from actors.points.expiry import Expiry
from actors.points.following import Followers, Following
from actors.points.intake import Intake
from actors.points.loading import LOADER, Loader
from actors.points.merging import Mergers
from actors.points.messages import (
    ACCOUNTS,
    DEFERRALS,
    FOLLOWING,
    INTAKE,
    MERGERS,
    ORDER_REFUNDS,
    QUERIES,
)
from actors.points.order_refunds import OrderRefunds
from actors.points.program import Program
from actors.points.program_messages import PROGRAM
from actors.points.readers import PointsReaders
from actors.points.tier_messages import TIERS
from actors.points.tiers import Tiers
from runtime import REFUSING, ChildSpec, Entities, MailboxSpec, Overflow
from runtime.spool import FileSpool, Spool, SpoolLimits
from runtime.spool.port import KIB, MIB
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("points", "actors.points.migrations")

MAX_ACTIVE_ACCOUNTS = 20_000
LOADER_CAPACITY = 4_096

DEFERRAL_LIMITS = SpoolLimits(bytes_max=64 * MIB, records_max=50_000, record_bytes_max=16 * KIB)
"""What may wait on the disk. All of it is in memory as well, about a kilobyte each."""

ACCOUNT_MAILBOX = MailboxSpec(capacity=256, overflow=Overflow.REJECT)
"""Full means that requests for this one customer come faster than commits: refuse them."""


def points_children(
    database: Database, open_spool: OpenSpool, flags: Flags | None = None
) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start. `open_spool` opens what keeps earnings
    while the database is away; `flags` switch what may be switched, else the defaults hold."""
    known = flags if flags is not None else Defaults()
    followers = Followers()
    heard = LastRules()
    return (
        ChildSpec(
            "loader",
            lambda: Loader(database, followers),
            name=LOADER,
            mailbox=MailboxSpec(capacity=LOADER_CAPACITY),
        ),
        ChildSpec("queries", lambda: PointsReaders(database), name=QUERIES, mailbox=REFUSING),
        ChildSpec("program", lambda: Program(database), name=PROGRAM, mailbox=REFUSING),
        ChildSpec(
            "accounts", lambda: _accounts(database, followers), name=ACCOUNTS, shutdown_s=10.0
        ),
        ChildSpec("intake", lambda: Intake(database, known, heard), name=INTAKE, mailbox=REFUSING),
        ChildSpec(
            "refunds", lambda: OrderRefunds(database, heard), name=ORDER_REFUNDS, mailbox=REFUSING
        ),
        ChildSpec("mergers", Mergers, name=MERGERS, mailbox=REFUSING),
        ChildSpec("tiers", lambda: Tiers(database, known), name=TIERS, mailbox=REFUSING),
        ChildSpec("following", lambda: Following(followers), name=FOLLOWING, mailbox=REFUSING),
        ChildSpec("expiry", lambda: Expiry(database), name="points.expiry"),
        ChildSpec(
            "deferrals",
            lambda: Deferrals(database, open_spool),
            name=DEFERRALS,
            mailbox=REFUSING,
            shutdown_s=10.0,
        ),
    )


def deferral_spool(directory: Path) -> OpenSpool:
    """Opens the spool of deferred earnings in `directory`."""

    async def open_spool() -> Spool:
        return await FileSpool.open(directory, DEFERRAL_LIMITS)

    return open_spool


def _accounts(database: Database, followers: Followers) -> Entities:
    return Entities(
        ACCOUNTS,
        lambda _key: Account(database, followers),
        max_active=MAX_ACTIVE_ACCOUNTS,
        mailbox=ACCOUNT_MAILBOX,
    )
