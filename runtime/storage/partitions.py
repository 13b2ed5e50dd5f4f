"""The table of journal partitions: who may write, and how many commits there were.

Every transaction of a journal counts itself in it, under the epoch of its owner. So an owner
whose partition was claimed by somebody else cannot commit any more, and one that lost its
connection during a commit finds out what became of it.
"""

from runtime.storage.port import AcrossMerchants, Statement, Write

CLAIM = AcrossMerchants(
    "INSERT INTO journal_partitions (partition, owner, epoch, commits) VALUES ($1, $2, 1, 0)"
    " ON CONFLICT (partition) DO UPDATE SET owner = excluded.owner,"
    " epoch = journal_partitions.epoch + 1, address = NULL RETURNING epoch, commits"
)
"""Take the partition, from whoever has it, and forget where they served. Waits for a commit of
theirs that is under way."""

TAKE_FROM_OTHERS = AcrossMerchants(
    "UPDATE journal_partitions SET owner = $1, epoch = epoch + 1, address = NULL"
    " WHERE partition NOT LIKE CAST($2 AS TEXT) RETURNING partition"
)
"""End the epochs of all partitions that are not of this pattern: processes that divide the work in
another way have written for what is written for here."""

CLAIM_AGAIN = AcrossMerchants(
    "UPDATE journal_partitions SET epoch = epoch + 1 WHERE partition = $1 AND owner = $2"
    " RETURNING epoch, commits"
)
"""The same, unless somebody else has taken it meanwhile: then no row is returned."""

SELECT_OWNER = AcrossMerchants("SELECT owner FROM journal_partitions WHERE partition = $1")

COUNT_COMMIT = Statement(
    "journal.count_commit",
    "UPDATE journal_partitions SET commits = $3"
    " WHERE partition = $1 AND epoch = $2 AND commits + 1 = $3",
    0,
    exact=True,
    shared=True,
)


def commit_write(partition: str, epoch: int, commits: int) -> Write:
    """Count a commit; `Superseded` when the epoch is over, or when the store does not have the
    commit before it any more."""
    return Write(COUNT_COMMIT, (partition, epoch, commits))
