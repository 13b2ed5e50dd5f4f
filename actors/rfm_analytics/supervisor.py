"""The children and the jobs of the domain."""

from actors.rfm_analytics.forgetting import FORGETTING, ForgetCustomer, Forgetting
from actors.rfm_analytics.messages import QUERIES, RUNS
from actors.rfm_analytics.pacing import SLICE
from actors.rfm_analytics.publishing import PruneRuns, TellChanges
from actors.rfm_analytics.queue import (
    FORGET_CUSTOMER,
    PRUNE_RUNS,
    RFM_QUEUE,
    SCORE_RUN,
    TELL_CHANGES,
)
from actors.rfm_analytics.readers import RfmReaders
from actors.rfm_analytics.runs import Runs
from actors.rfm_analytics.scoring import ScoreRun
from runtime import REFUSING, ChildSpec
from runtime.jobs import JobsSpec
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("rfm_analytics", "actors.rfm_analytics.migrations")


def rfm_analytics_children(database: Database) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start."""
    return (
        ChildSpec("queries", lambda: RfmReaders(database), name=QUERIES, mailbox=REFUSING),
        ChildSpec("runs", lambda: Runs(database), name=RUNS, mailbox=REFUSING),
        ChildSpec("forgetting", lambda: Forgetting(database), name=FORGETTING),
    )


def rfm_analytics_jobs(database: Database, slice_: int = SLICE) -> JobsSpec:
    """What works off runs, up to `slice_` customers in a step."""
    return JobsSpec(
        queues=(RFM_QUEUE,),
        handlers={
            SCORE_RUN: ScoreRun(database, slice_=slice_),
            TELL_CHANGES: TellChanges(database),
            PRUNE_RUNS: PruneRuns(database),
            FORGET_CUSTOMER: ForgetCustomer(),
        },
    )
