"""The queue of the domain, and its jobs."""

from runtime.jobs import Delays, NewJob, QueuePolicy

RFM_QUEUE = QueuePolicy(
    name="rfm_analytics",
    concurrency=2,
    depth_max=100_000,
    attempts_max=5,
    attempt_timeout_s=4 * 3_600.0,
    delays=Delays(initial_s=2.0, max_s=60.0),
)
"""Two merchants at a time in each process: the others wait, and points do not. Beside others who
write all the time, a million customers take three hours."""

SCORE_RUN, TELL_CHANGES, PRUNE_RUNS = "rfm.score", "rfm.tell_changes", "rfm.prune"
FORGET_CUSTOMER = "rfm.forget_customer"


def score_job(merchant_id: str, run_id: str) -> NewJob:
    """All jobs of a merchant come one after another."""
    return NewJob(
        queue=RFM_QUEUE.name,
        name=SCORE_RUN,
        merchant_id=merchant_id,
        payload={"run_id": run_id},
        key=merchant_id,
    )


def tell_job(merchant_id: str, run_id: str) -> NewJob:
    return NewJob(
        queue=RFM_QUEUE.name,
        name=TELL_CHANGES,
        merchant_id=merchant_id,
        payload={"run_id": run_id},
        key=merchant_id,
    )


def prune_job(merchant_id: str) -> NewJob:
    return NewJob(queue=RFM_QUEUE.name, name=PRUNE_RUNS, merchant_id=merchant_id, key=merchant_id)
