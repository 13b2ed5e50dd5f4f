"""How two account entities move points between them in one commit."""

from typing import Any

import attrs

from actors.points.errors import CommitConflict
from actors.points.holding import AccountHolder
from actors.points.lookups import find_transfer
from actors.points.messages import ACCOUNTS, AccountKey, Transfer, TransferReceipt
from actors.points.plan import NO_ANSWERS
from actors.points.records import entry_of, transfer_entry
from actors.points.state import AccountState
from actors.points.transfers import decide_transfer
from actors.vocabulary import Refusal
from runtime import ActorError, Envelope, Outcome
from runtime.message import Call
from runtime.storage import StorageError

MAX_TRANSFER_ATTEMPTS = 5
"""How often a transfer is decided anew because the store knew more than its accounts."""

TransferResult = TransferReceipt | Refusal


@attrs.frozen
class Lead(Call[TransferResult]):
    """To the account that comes first by its customer's id: see the transfer through."""

    transfer: Transfer


@attrs.frozen
class Followed:
    """`result` is None where the leader's state is out of date: nothing was written."""

    result: TransferResult | None
    state: AccountState


@attrs.frozen
class Follow(Call[Followed]):
    """To the account that comes second: decide for both, and write for both.

    The leader waits for the answer and touches nothing of its own meanwhile, so that the state it
    sends along is its last.
    """

    transfer: Transfer
    leader: AccountState


def leader_of(transfer: Transfer) -> str:
    """The customer whose account leads. It is the same in both directions, so that two transfers
    between two accounts never wait for each other."""
    return min(transfer.from_customer_id, transfer.to_customer_id)


class Transferring(AccountHolder):
    """An account that gives points to others and gets points from them.

    Both sides, the key and the record of the transfer are one entry of the journal: all of it is
    durable, or none. Whoever dies between the steps leaves nothing behind, or a commit under way
    that the next to load the account waits for, or is rejected by.
    """

    async def _transfer(self, envelope: Envelope) -> None:
        """Lead or follow. What fails here is between the two accounts, and fails no neighbour."""
        message: Any = envelope.message
        try:
            if isinstance(message, Lead):
                envelope.reply(await self._lead(message.transfer))
            else:
                envelope.reply(await self._follow(message))
        except self.passes_on as error:
            envelope.fail(error)

    async def _lead(self, transfer: Transfer) -> TransferResult:
        if not await self._known_customer():
            return self._unknown()
        for _ in range(MAX_TRANSFER_ATTEMPTS):
            state = await self._loaded()
            self.finish_batch()
            followed = await self._ask_follower(Follow(transfer, state))
            if followed.result is not None:
                self._state = followed.state
                self._tell()
                return followed.result
            self._state = None
        raise CommitConflict(f"{self.address}: rejected {MAX_TRANSFER_ATTEMPTS} times")

    async def _ask_follower(self, follow: Follow) -> Followed:
        transfer = follow.transfer
        customers = {transfer.from_customer_id, transfer.to_customer_id}
        (other,) = customers - {self.key.customer_id}
        key = AccountKey(self.key.merchant_id, other)
        try:
            return await self.system.entities(ACCOUNTS).ref(key).ask(follow)
        except (ActorError, StorageError) as error:
            undelivered = isinstance(error, ActorError) and error.outcome is Outcome.NOT_DELIVERED
            if not undelivered:
                self._doubt()
            raise

    async def _follow(self, follow: Follow) -> Followed:
        transfer, leader = follow.transfer, follow.leader
        if not await self._known_customer():
            return Followed(self._unknown(), leader)
        own = await self._loaded()
        known = await find_transfer(self._database, self.key.merchant_id, transfer)
        if known is not None:
            return Followed(known, leader)
        leading = leader.customer_id == transfer.from_customer_id
        states = (leader, own) if leading else (own, leader)
        decision = decide_transfer(*states, transfer, self._moment())
        if isinstance(decision.reply, Refusal):
            return Followed(decision.reply, leader)
        sides = (decision.source, decision.target)
        theirs, ours = sides if leading else reversed(sides)
        entry = (
            *entry_of(theirs.state, theirs.events, NO_ANSWERS),
            *entry_of(ours.state, ours.events, NO_ANSWERS),
            *transfer_entry(decision, transfer),
        )
        if not await self._hand_in(entry, ours.state):
            return Followed(None, leader)
        return Followed(decision.reply, theirs.state)
