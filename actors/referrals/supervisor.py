"""The referrals domain's children, jobs and migrations."""

from actors.referrals.callbacks import Signed, TextCallbacks, nobody_signs
from actors.referrals.desk import ReferralDesk
from actors.referrals.messages import CALLBACKS, ORDERS, PEOPLE, QUERIES, REFERRALS
from actors.referrals.order_events import OrderEvents
from actors.referrals.people import People
from actors.referrals.queues import MESSAGES, POLL, REVERSE, REWARD, REWARDS, SEND, UPKEEP
from actors.referrals.readers import ReferralReaders
from actors.referrals.rewarding import ReverseReferral, RewardReferral
from actors.referrals.sending import Couriers, PollText, SendInvitation
from actors.referrals.upkeep import ReferralUpkeep
from actors.referrals.watching import TextWatch
from runtime import REFUSING, ChildSpec
from runtime.jobs import Hourly, JobsSpec, Schedule, scheduled_of
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("referrals", "actors.referrals.migrations")


def referrals_children(
    database: Database, public_url: str | None = None, signed: Signed = nobody_signs
) -> tuple[ChildSpec, ...]:
    """The domain's children. `signed` says whether a form came from the provider of texts, which
    calls us at `public_url`."""
    return (
        ChildSpec("desk", lambda: ReferralDesk(database), name=REFERRALS, mailbox=REFUSING),
        ChildSpec("queries", lambda: ReferralReaders(database), name=QUERIES, mailbox=REFUSING),
        ChildSpec("orders", lambda: OrderEvents(database), name=ORDERS, mailbox=REFUSING),
        ChildSpec("people", lambda: People(database), name=PEOPLE, mailbox=REFUSING),
        ChildSpec(
            "callbacks",
            lambda: TextCallbacks(database, public_url, signed),
            name=CALLBACKS,
            mailbox=REFUSING,
        ),
        ChildSpec("watch", lambda: TextWatch(database), name="referrals.watch"),
    )


SCHEDULED = scheduled_of("referrals")


def referrals_jobs(database: Database, couriers: Couriers) -> JobsSpec:
    """Queues, handlers and the hourly upkeep."""
    return JobsSpec(
        queues=(MESSAGES, REWARDS, SCHEDULED),
        handlers={
            SEND: SendInvitation(database, couriers),
            POLL: PollText(database, couriers),
            REWARD: RewardReferral(database),
            REVERSE: ReverseReferral(database),
            UPKEEP: ReferralUpkeep(database),
        },
        schedules=(
            Schedule(name="referrals.upkeep", job=UPKEEP, timing=Hourly(17), queue=SCHEDULED.name),
        ),
    )
