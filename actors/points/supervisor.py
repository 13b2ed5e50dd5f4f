"""The points domain's children."""

from actors.points.account import Account
from actors.points.expiry import Expiry
from actors.points.intake import Intake
from actors.points.loading import LOADER, Loader
from actors.points.messages import ACCOUNTS, INTAKE, QUERIES
from actors.points.readers import PointsReaders
from runtime import REFUSING, ChildSpec, Entities, MailboxSpec, Overflow
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("points", "actors.points.migrations")

MAX_ACTIVE_ACCOUNTS = 20_000
LOADER_CAPACITY = 4_096

ACCOUNT_MAILBOX = MailboxSpec(capacity=256, overflow=Overflow.REJECT)
"""Full means that requests for this one customer come faster than commits: refuse them."""


def points_children(database: Database) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start."""
    return (
        ChildSpec(
            "loader",
            lambda: Loader(database),
            name=LOADER,
            mailbox=MailboxSpec(capacity=LOADER_CAPACITY),
        ),
        ChildSpec("queries", lambda: PointsReaders(database), name=QUERIES, mailbox=REFUSING),
        ChildSpec("accounts", lambda: _accounts(database), name=ACCOUNTS, shutdown_s=10.0),
        ChildSpec("intake", lambda: Intake(database), name=INTAKE, mailbox=REFUSING),
        ChildSpec("expiry", lambda: Expiry(database), name="points.expiry"),
    )


def _accounts(database: Database) -> Entities:
    return Entities(
        ACCOUNTS,
        lambda _key: Account(database),
        max_active=MAX_ACTIVE_ACCOUNTS,
        mailbox=ACCOUNT_MAILBOX,
    )
