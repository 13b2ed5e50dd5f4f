"""What every account entity does with its state: load it, hand in what follows, doubt it."""

from typing import ClassVar

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import HasCustomer
from actors.points.loading import LOADER, Load
from actors.points.messages import ACCOUNTS, AccountKey
from actors.points.posting import Moment
from actors.points.state import AccountState
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError, Entity, Outcome
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, StorageError


class AccountHolder(Entity):
    """Has the account's state in memory, as the store has it or will have it.

    When a commit ends with its outcome unknown, the state is forgotten, and loaded again once the
    journal has dealt with everything before.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)
    key: AccountKey

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state: AccountState | None = None
        self._in_doubt = False
        self._exists = False

    async def _known_customer(self) -> bool:
        if not self._exists:
            key = self.key
            question = HasCustomer(key.merchant_id, key.customer_id)
            self._exists = (await self._loaded()).sequence > 0 or await self.system.ref(
                CORE_QUERIES
            ).ask(question)
        return self._exists

    def _unknown(self) -> Refusal:
        detail = f"there is no customer {self.key.customer_id}"
        return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)

    async def _loaded(self) -> AccountState:
        if self._state is None:
            if self._in_doubt:
                await self.system.ref(JOURNAL).ask(Append(()))
                self._in_doubt = False
            self._state = await self.system.ref(LOADER).ask(Load(self.key))
        return self._state

    async def _hand_in(self, entry: Entry, state: AccountState, *, publishes: bool = False) -> bool:
        """Make an entry durable, after which the account is in `state`; false when the store
        holds something that contradicts it."""
        self.finish_batch()
        try:
            rejected = await self.system.ref(JOURNAL).ask(Append(entry, publishes))
        except ActorError as error:
            if error.outcome is Outcome.UNKNOWN:
                self._doubt()
            raise
        if isinstance(rejected, Rejected):
            self._state = None
            return False
        self._state = state
        self._tell()
        return True

    def _tell(self) -> None:
        """Those who watch this account look at it again."""
        self.system.changes.tell(ACCOUNTS, self.key.merchant_id, self.key.customer_id)

    def _doubt(self) -> None:
        self._state = None
        self._in_doubt = True

    def _moment(self) -> Moment:
        """Now; where the clock was set back, the time of the last transaction."""
        now = self.system.clock.now()
        last = self._state.recorded_at if self._state is not None else None
        return Moment(now if last is None else max(now, last), self.system.ids.new)
