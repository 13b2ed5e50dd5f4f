"""The actor that makes, knows and withdraws API keys."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any, ClassVar

import attrs
import structlog
import trio

from actors.auth.messages import (
    API_KEY_PREFIX,
    ApiKey,
    CreateApiKey,
    CreatedKey,
    RevokeApiKey,
    VerifyApiKey,
)
from actors.auth.opaque import fingerprint, new_secret
from actors.auth.queries import (
    COUNT_API_KEYS,
    INSERT_API_KEY,
    REVOKE_API_KEY,
    SELECT_API_KEY,
    USED_API_KEY,
)
from actors.auth.rows import api_key_of, revocation_write
from actors.auth.writing import append, spread
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError, ExitReason
from runtime.parking import monotonic
from runtime.storage import Database, StorageError, Write
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.auth")

KEYS_MAX = 100
"""Of one merchant."""

FRESH_S = 30.0
"""How long a key that was looked up counts without another look."""

STALE_S = 900.0
"""How long it counts while the database is away."""

KNOWN_MAX = 10_000
NOTE_EVERY_S = 30.0

REVOKED_FOR = timedelta(hours=1)
"""How long processes are told that a key is revoked: longer than any of them goes by a look."""

NO_KEY = Refusal(RefusalKind.NOT_FOUND, "not_found", "there is no such API key")


@attrs.frozen
class Looked:
    key: ApiKey
    at: float


class ApiKeys(Actor):
    """Keys are known by their fingerprints. When each was used last is noted from time to time."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, Looked] = OrderedDict()
        self._used: dict[tuple[str, str], datetime] = {}

    async def started(self) -> None:
        self.start_task(self._keep_noting)

    async def receive(self, message: Any) -> object:
        match message:
            case VerifyApiKey():
                return await self._verify(message.fingerprint)
            case CreateApiKey():
                return await self._create(message)
            case RevokeApiKey():
                return await self._revoke(message)
        return await super().receive(message)

    async def stopped(self, reason: ExitReason) -> None:
        with trio.move_on_after(1.0):
            await self._note(Trouble(log, "uses_not_noted", "uses_noted_again"))

    async def _verify(self, print_: str) -> ApiKey | None:
        looked = self._known.get(print_)
        if looked is None or monotonic() - looked.at > FRESH_S:
            looked = await self._look(print_, looked)
        now = self.system.clock.now()
        if looked is None or (looked.key.expires_at is not None and looked.key.expires_at <= now):
            return None
        self._used[looked.key.merchant_id, looked.key.key_id] = now
        return looked.key

    async def _look(self, print_: str, before: Looked | None) -> Looked | None:
        try:
            row = await self._database.fetch_row(SELECT_API_KEY, print_)
        except StorageError:
            if before is None or monotonic() - before.at > STALE_S:
                raise
            return before
        if row is None:
            self._known.pop(print_, None)
            return None
        looked = self._known[print_] = Looked(api_key_of(row), monotonic())
        self._known.move_to_end(print_)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return looked

    async def _create(self, message: CreateApiKey) -> CreatedKey | Refusal:
        now = self.system.clock.now()
        if message.expires_at is not None and message.expires_at <= now:
            return Refusal(RefusalKind.INVALID, "expired_already", "expires_at is in the past")
        if await self._database.fetch_value(COUNT_API_KEYS, message.merchant_id) >= KEYS_MAX:
            detail = f"a merchant has at most {KEYS_MAX} API keys; revoke one first"
            return Refusal(RefusalKind.CONFLICT, "too_many_api_keys", detail)
        secret = new_secret(self.system.secrets, API_KEY_PREFIX)
        row = (
            message.merchant_id,
            message.key_id,
            message.name,
            fingerprint(secret),
            list(message.scopes),
            message.created_by,
            now,
            message.expires_at,
        )
        rejected = await append(self.system, (Write(INSERT_API_KEY, row),), message.publishes)
        if rejected is not None:
            raise rejected.violation
        key = ApiKey(
            merchant_id=message.merchant_id,
            key_id=message.key_id,
            name=message.name,
            scopes=message.scopes,
            created_by=message.created_by,
            created_at=now,
            expires_at=message.expires_at,
            last_used_at=None,
        )
        return CreatedKey(key, secret)

    async def _revoke(self, message: RevokeApiKey) -> Refusal | None:
        now = self.system.clock.now()
        until = now + REVOKED_FOR
        entry = (
            Write(REVOKE_API_KEY, (message.merchant_id, message.key_id, now)),
            revocation_write(message.merchant_id, message.key_id, now, until),
        )
        if await append(self.system, entry, message.publishes) is not None:
            return NO_KEY
        for print_, looked in list(self._known.items()):
            if looked.key.key_id == message.key_id:
                del self._known[print_]
        await spread(self.system, (message.key_id,), until)
        return None

    async def _keep_noting(self) -> None:
        trouble = Trouble(log, "uses_not_noted", "uses_noted_again")
        while True:
            await trio.sleep(NOTE_EVERY_S)
            await self._note(trouble)

    async def _note(self, trouble: Trouble) -> None:
        """Write down when keys were used. What cannot be written is tried again."""
        used, self._used = self._used, {}
        if not used:
            return
        entry = tuple(Write(USED_API_KEY, (*key, at)) for key, at in used.items())
        try:
            await append(self.system, entry)
            trouble.ended()
        except (StorageError, ActorError) as error:
            self._used = used | self._used
            trouble.failed(error)
