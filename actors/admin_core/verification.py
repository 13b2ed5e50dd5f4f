"""Verification of the audit log: every chain recomputed from its entries."""

import trio

from actors.admin_core.messages import AuditEntry, AuditVerification, Broken
from actors.admin_core.model import Head, fault
from actors.admin_core.queries import IN_ORDER
from actors.admin_core.records import entry_of
from runtime.storage import Database

PAGE = 500
BROKEN_MAX = 100


class Chains:
    """Takes all entries, chain by chain, and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.chains = self.entries = 0
        self.broken: list[Broken] = []
        self._of: AuditEntry | None = None
        self._head = Head()
        self._is_broken = False

    def take(self, entry: AuditEntry) -> None:
        if self._of is None or entry.merchant_id != self._of.merchant_id:
            self.chains += 1
            self._head, self._is_broken = Head(), False
        wrong = None if self._is_broken else fault(self._head, entry)
        if wrong is not None:
            self._is_broken = True
            if len(self.broken) < BROKEN_MAX:
                self.broken.append(Broken(entry.merchant_id, entry.sequence, wrong))
        self.entries += 1
        self._of, self._head = entry, Head(entry.sequence, entry.hash)


async def verify(database: Database) -> AuditVerification:
    """Read all entries in their order, page by page. Other tasks run in between."""
    found, after = Chains(), ("", 0)
    while rows := await database.fetch(IN_ORDER, *after, PAGE):
        for row in rows:
            found.take(entry_of(row))
        after = (rows[-1]["merchant_id"], rows[-1]["sequence"])
        await trio.lowlevel.checkpoint()
    return AuditVerification(not found.broken, found.chains, found.entries, tuple(found.broken))
