"""The actor that knows what is revoked, and tells everybody in every process."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec
import structlog
import trio

from actors.auth.inside import Spread
from actors.auth.messages import (
    FollowRevocations,
    ListSuspended,
    ResumeMerchant,
    Revocations,
    Revoked,
    SuspendMerchant,
)
from actors.auth.metrics import AuthMetrics
from actors.auth.queries import LIST_REVOCATIONS, LIST_SUSPENDED, RESUME, SUSPEND
from actors.auth.standing import mark_revoked
from actors.auth.writing import append
from actors.vocabulary import Refusal
from runtime import DEFERRED, Actor, ActorError, Envelope
from runtime.cache import CacheHandle, Missed, Notice
from runtime.coalescing import until_next
from runtime.registries import in_registry
from runtime.storage import Database, StorageError, Write
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.auth")

CHANNEL = "auth.revoked"
"""Of the cache, and of the database: either tells other processes to look."""

LOOK_EVERY_S = 5.0
"""How late a process knows at most, when every notice is lost and the database is there."""

OVERLAP = timedelta(seconds=120)
"""How far the clocks of processes may differ: so much is read again at each look."""

PAGE = 1_000
PAGES_MAX = 1_000
NOTICE_MAX = 50
"""Ids in one notice. More are announced by an empty one: look yourself."""

WAITING_MAX = 64
"""Followers that wait; the one that waited longest gets an answer without news."""


class RevocationList(Actor):
    """Keeps all revocations that have not expired, in the order in which it heard of them. Who
    follows it has an answer, if only an empty one, every `LOOK_EVERY_S`.

    The database has them all. Notices of the cache and of the database only make them known
    sooner, so that losing either, or both, costs seconds.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, cache: CacheHandle) -> None:
        self._database = database
        self._cache = cache
        self._known: dict[str, Revoked] = {}
        self._heard: list[Revoked] = []
        self._forgotten = 0
        self._suspended: frozenset[str] = frozenset()
        self._waiting: list[Envelope] = []
        self._untold: list[Revoked] = []
        self._something_to_tell = trio.Event()
        self._look = trio.Event()
        self._read_to: datetime | None = None
        self._name = ""
        self._metrics: AuthMetrics

    async def started(self) -> None:
        self._name = self.system.ids.new("list")
        self._metrics = in_registry(self.system.metrics.registry, AuthMetrics)
        trouble = Trouble(log, "revocations_not_read", "revocations_read_again")
        await self._read(trouble)
        self.start_task(self._keep_reading, trouble)
        self.start_task(self._keep_telling)
        self.start_task(self._cache.follow, CHANNEL, self._react)
        self.start_task(self._keep_listening)

    async def receive(self, message: Any) -> object:
        match message:
            case FollowRevocations():
                return self._follow(message.mark)
            case ListSuspended():
                return self._suspended
            case Spread():
                self._hear(message.revoked)
                self._tell(message.revoked)
                return None
            case SuspendMerchant():
                now = self.system.clock.now()
                write = Write(SUSPEND, (message.merchant_id, now, message.reason))
                return await self._switch(write, message)
            case ResumeMerchant():
                return await self._switch(Write(RESUME, (message.merchant_id,)), message)
        return await super().receive(message)

    async def _switch(
        self, write: Write, message: SuspendMerchant | ResumeMerchant
    ) -> Refusal | None:
        rejected = await append(self.system, (write,), message.publishes)
        if rejected is not None:
            raise rejected.violation
        one = {message.merchant_id}
        is_suspended = isinstance(message, SuspendMerchant)
        self._suspend(self._suspended | one if is_suspended else self._suspended - one)
        self._tell(())
        return None

    # What is known, and those who follow it

    def _mark(self) -> str:
        return f"{self._name}/{self._forgotten + len(self._heard)}"

    def _follow(self, mark: str) -> object:
        if mark == self._mark():
            self._waiting.append(self.envelope)
            if len(self._waiting) > WAITING_MAX:
                self._waiting.pop(0).reply(self._news(mark))
            return DEFERRED
        return self._news(mark)

    def _news(self, mark: str) -> Revocations:
        name, _, number = mark.rpartition("/")
        place = int(number) - self._forgotten if name == self._name else -1
        complete = not 0 <= place <= len(self._heard)
        news = tuple(self._known.values()) if complete else tuple(self._heard[place:])
        return Revocations(self._mark(), complete, news, self._suspended)

    def _hear(self, revoked: Sequence[Revoked]) -> None:
        fresh = [each for each in revoked if each.revoked_id not in self._known]
        if not fresh:
            return
        mark = self._mark()
        self._known |= {each.revoked_id: each for each in fresh}
        self._heard += fresh
        self._answer(mark)

    def _suspend(self, suspended: frozenset[str]) -> None:
        if suspended == self._suspended:
            return
        mark = self._mark()
        self._suspended = suspended
        self._heard.append(Revoked("", 0.0))
        self._answer(mark)

    def _answer(self, mark: str) -> None:
        """Those who wait have all that there was at `mark`."""
        waiting, self._waiting = self._waiting, []
        for envelope in waiting:
            envelope.reply(self._news(mark))

    def _forget(self) -> None:
        """What has expired. Followers forget it by themselves."""
        now_s = self.system.clock.now().timestamp()
        self._known = {id_: each for id_, each in self._known.items() if each.expires_at > now_s}
        if len(self._heard) > 2 * len(self._known) + PAGE:
            self._forgotten += len(self._heard)
            self._heard = []
        self._metrics.revoked.set(len(self._known))

    # Reading the database

    async def _keep_reading(self, trouble: Trouble) -> None:
        while True:
            with trio.move_on_after(until_next(LOOK_EVERY_S)):
                await self._look.wait()
            self._look = trio.Event()
            await self._read(trouble)
            self._forget()
            self._answer(self._mark())

    async def _read(self, trouble: Trouble) -> None:
        now = self.system.clock.now()
        after = (self._read_to - OVERLAP if self._read_to else datetime.fromtimestamp(0, UTC), "")
        try:
            for _ in range(PAGES_MAX):
                rows, suspended = await self._database.fetch_many(
                    [(LIST_REVOCATIONS, (*after, now, PAGE)), (LIST_SUSPENDED, ())]
                )
                self._hear([Revoked(row[1], row[3].timestamp()) for row in rows])
                if len(rows) < PAGE:
                    break
                after = (rows[-1][2], rows[-1][1])
        except StorageError as error:
            trouble.failed(error)
            return
        trouble.ended()
        self._read_to = now
        self._suspend(frozenset(row[0] for row in suspended))

    # Telling others, and hearing them

    def _tell(self, revoked: Sequence[Revoked]) -> None:
        self._untold += revoked
        self._something_to_tell.set()

    async def _keep_telling(self) -> None:
        trouble = Trouble(log, "revocations_not_told", "revocations_told_again")
        while True:
            await self._something_to_tell.wait()
            self._something_to_tell = trio.Event()
            revoked, self._untold = self._untold, []
            now_s = self.system.clock.now().timestamp()
            for each in revoked:
                await mark_revoked(self._cache, each.revoked_id, each.expires_at - now_s)
            told = revoked if len(revoked) <= NOTICE_MAX else []
            payload = msgspec.json.encode(told)
            await self._cache.publish(CHANNEL, payload)
            try:
                await self._database.notify(CHANNEL, payload.decode())
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)

    def _react(self, notice: Notice | Missed) -> None:
        self._learn(notice.payload if isinstance(notice, Notice) else b"")

    def _learn(self, payload: bytes) -> None:
        """What a notice says counts at once; what it does not say is looked up."""
        try:
            revoked = msgspec.json.decode(payload, type=list[Revoked])
        except msgspec.DecodeError:
            revoked = []
        self._hear(revoked)
        if not revoked:
            self._look.set()

    async def _keep_listening(self) -> None:
        while True:
            try:
                async with self._database.listen(CHANNEL) as notices:
                    async for notice in notices:
                        self._learn(notice.encode())
            except StorageError:
                log.debug("revocations_not_listened_for")
            await trio.sleep(LOOK_EVERY_S)
