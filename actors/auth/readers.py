"""The actor that reads the auth domain's tables."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.auth.messages import (
    Account,
    ApiKey,
    GetAccount,
    ListAccounts,
    ListApiKeys,
    ListLoginAttempts,
    ListRoles,
    LoginAttempt,
)
from actors.auth.model import kept_as, normalised_email
from actors.auth.queries import (
    LIST_ACCOUNTS,
    LIST_ACCOUNTS_OF,
    LIST_API_KEYS,
    LIST_ATTEMPTS,
    LIST_ROLES,
    SELECT_ACCOUNT,
)
from actors.auth.rows import account_of, api_key_of, attempt_of, role_of
from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.storage import Database, StorageError

NEWEST = (datetime.max.replace(tzinfo=UTC), "")


class AuthReaders(Workers):
    """Reads, several at a time."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)
    concurrency: ClassVar[int] = 8

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case GetAccount():
                row = await self._database.fetch_row(SELECT_ACCOUNT, message.account_id)
                return account_of(row) if row is not None else None
            case ListAccounts():
                return await self._accounts(message)
            case ListRoles():
                return tuple(map(role_of, await self._database.fetch(LIST_ROLES, kept_as(None))))
            case ListLoginAttempts():
                return await self._attempts(message)
            case ListApiKeys():
                return await self._api_keys(message)
        return await super().receive(message)

    async def _accounts(self, message: ListAccounts) -> Page[Account] | Refusal:
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        limit = clamp_limit(message.limit)
        email = normalised_email(message.email) if message.email is not None else None
        values = (*after, email, limit + 1)
        if message.merchant_id is None:
            rows = await self._database.fetch(LIST_ACCOUNTS, *values)
        else:
            rows = await self._database.fetch(LIST_ACCOUNTS_OF, message.merchant_id, *values)
        return page(rows, limit, account_of, lambda row: [row["account_id"]])

    async def _attempts(self, message: ListLoginAttempts) -> Page[LoginAttempt] | Refusal:
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        limit = clamp_limit(message.limit)
        values = (message.merchant_id, message.account_id, *before, limit + 1)
        rows = await self._database.fetch(LIST_ATTEMPTS, *values)
        return page(
            rows, limit, attempt_of, lambda row: [row["happened_at"].isoformat(), row["attempt_id"]]
        )

    async def _api_keys(self, message: ListApiKeys) -> Page[ApiKey] | Refusal:
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        limit = clamp_limit(message.limit)
        rows = await self._database.fetch(LIST_API_KEYS, message.merchant_id, *after, limit + 1)
        return page(rows, limit, api_key_of, lambda row: [row["key_id"]])
