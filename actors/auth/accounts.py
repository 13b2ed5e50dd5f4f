"""The actor that writes accounts and roles."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import attrs
import msgspec

from actors.auth.inside import HASHING, ComparePassword, HashPassword
from actors.auth.messages import (
    AccessRole,
    Account,
    ChangeAccount,
    ChangePassword,
    CreateAccount,
    DeleteRole,
    Denial,
    PutRole,
    Role,
)
from actors.auth.model import (
    BAD_CREDENTIALS,
    BUSY,
    check_belonging,
    check_email,
    kept_as,
    normalised_email,
)
from actors.auth.passwords import check_password, normalised
from actors.auth.queries import (
    ACCOUNTS_OF_CUSTOMER,
    DELETE_ROLE,
    ERASE_ACCOUNT,
    FORGET_ATTEMPTS,
    FORGET_DEVICES,
    INSERT_ROLE,
    OPEN_SESSIONS,
    ROLE_IN_USE,
    SELECT_ACCOUNT,
    SELECT_ROLE,
    UPDATE_ACCOUNT,
    UPDATE_ROLE,
)
from actors.auth.rows import Credentials, account_write, credentials_of, role_of
from actors.auth.writing import OUTLIVES, append, session_end, spread
from actors.core.messages import CustomerErased
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError, MailboxFull
from runtime.context import under_trace
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import Database, Entry, StorageError, Write

NO_ACCOUNT = Refusal(RefusalKind.NOT_FOUND, "not_found", "there is no such account")
NO_ROLE = Refusal(RefusalKind.NOT_FOUND, "not_found", "there is no such role")
CHANGED_MEANWHILE = Refusal(
    RefusalKind.CONFLICT, "changed_meanwhile", "somebody else changed it at the same time"
)
ACCOUNT_CHANGED = "account_changed"

NOBODY = "erased.invalid"
"""Where the addresses of accounts lead whose customers were erased."""


class Accounts(Actor):
    """Creates and changes accounts. Whatever is changed in one ends its sessions, so that nobody
    goes on with what he had."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case CreateAccount():
                return await self._create(message)
            case ChangeAccount():
                return await self._change(message)
            case ChangePassword():
                return await self._change_password(message)
            case PutRole():
                return await self._put_role(message)
            case DeleteRole():
                return await self._delete_role(message)
            case Deliver():
                for event in message.events:
                    erased = msgspec.convert(event.payload, CustomerErased)
                    with under_trace(event.trace_id):
                        await self._erase(event.merchant_id, erased.customer_id)
                return None
        return await super().receive(message)

    async def _create(self, message: CreateAccount) -> Account | Refusal:
        email, now = normalised_email(message.email), self.system.clock.now()
        refusal = (
            check_belonging(message.role, message.merchant_id, message.customer_id)
            or check_email(email)
            or check_password(message.password, email)
            or await self._check_role(message.role_id, message.role)
        )
        if refusal is not None:
            return refusal
        account = Account(
            merchant_id=message.merchant_id,
            account_id=message.account_id,
            email=email,
            role=message.role,
            customer_id=message.customer_id,
            role_id=message.role_id,
            disabled=False,
            created_at=now,
            changed_at=now,
        )
        hash_ = await self._hash(message.password)
        if isinstance(hash_, Refusal):
            return hash_
        entry = (account_write(account, hash_),)
        if await append(self.system, entry, message.publishes) is None:
            return account
        return Refusal(RefusalKind.CONFLICT, "account_exists", "there is such an account already")

    async def _hash(self, password: str) -> str | Refusal:
        try:
            return await self.system.ref(HASHING).ask(HashPassword(normalised(password)))
        except MailboxFull:
            return Refusal(RefusalKind.UNAVAILABLE, BUSY.code, BUSY.detail)

    async def _check_role(self, role_id: str | None, base: Role) -> Refusal | None:
        if not role_id:
            return None
        role = await self._role(role_id)
        if role is None or role.base is not base:
            detail = f"there is no role {role_id} that narrows {base.value}"
            return Refusal(RefusalKind.INVALID, "unknown_role", detail)
        return None

    async def _change(self, message: ChangeAccount) -> Account | Refusal:
        known = await self._credentials(message.account_id)
        if known is None:
            return NO_ACCOUNT
        refusal = await self._check_role(message.role_id, known.account.role)
        if refusal is None and message.password is not None:
            refusal = check_password(message.password, known.account.email)
        if refusal is not None:
            return refusal
        changes: dict[str, Any] = {"changed_at": self.system.clock.now()}
        if message.role_id is not None:
            changes["role_id"] = message.role_id or None
        if message.disabled is not None:
            changes["disabled"] = message.disabled
        changed = attrs.evolve(known.account, **changes)
        return await self._replace(known, changed, message.password, message.publishes)

    async def _replace(
        self,
        known: Credentials,
        account: Account,
        password: str | None,
        publishes: Sequence[OutboxEvent] = (),
    ) -> Account | Refusal:
        """Write an account as it is now, and end its sessions."""
        hash_: str | Refusal = known.password_hash
        if password is not None:
            hash_ = await self._hash(password)
        if isinstance(hash_, Refusal):
            return hash_
        merchant, now = kept_as(account.merchant_id), account.changed_at
        row = (merchant, account.account_id, hash_, account.role_id, account.disabled, now)
        entry: Entry = (Write(UPDATE_ACCOUNT, row),)
        if password is not None:
            entry += (Write(FORGET_DEVICES, (merchant, account.account_id)),)
        ended = await self._sessions(merchant, account.account_id, now)
        for each in ended:
            entry += session_end(merchant, each, ACCOUNT_CHANGED, now)
        if await append(self.system, entry, publishes) is not None:
            return CHANGED_MEANWHILE
        await spread(self.system, ended, now + OUTLIVES)
        return account

    async def _sessions(self, merchant: str, account_id: str, now: datetime) -> list[str]:
        rows = await self._database.fetch(OPEN_SESSIONS, merchant, account_id, now)
        return [row[0] for row in rows]

    async def _erase(self, merchant: str, customer_id: str) -> None:
        """Nobody can tell any more whose account it was. Doing it again does no harm."""
        now = self.system.clock.now()
        rows = await self._database.fetch(ACCOUNTS_OF_CUSTOMER, merchant, customer_id)
        for row in rows:
            account_id: str = row[0]
            ended = await self._sessions(merchant, account_id, now)
            ends = [session_end(merchant, each, ACCOUNT_CHANGED, now) for each in ended]
            email = f"{account_id.lower()}@{NOBODY}"
            entry = (
                Write(ERASE_ACCOUNT, (merchant, account_id, email, now)),
                Write(FORGET_DEVICES, (merchant, account_id)),
                Write(FORGET_ATTEMPTS, (merchant, account_id)),
                *(write for end in ends for write in end),
            )
            await append(self.system, entry)
            await spread(self.system, ended, now + OUTLIVES)

    async def _credentials(self, account_id: str) -> Credentials | None:
        row = await self._database.fetch_row(SELECT_ACCOUNT, account_id)
        return credentials_of(row) if row is not None else None

    async def _change_password(self, message: ChangePassword) -> Denial | Refusal | None:
        known = await self._credentials(message.account_id)
        if known is None or known.account.merchant_id != message.merchant_id:
            return NO_ACCOUNT
        refusal = check_password(message.new, known.account.email)
        if refusal is not None:
            return refusal
        comparing = ComparePassword(normalised(message.old), known.password_hash)
        try:
            compared = await self.system.ref(HASHING).ask(comparing)
        except MailboxFull:
            return BUSY
        if not compared.right:
            return BAD_CREDENTIALS
        changed = attrs.evolve(known.account, changed_at=self.system.clock.now())
        result = await self._replace(known, changed, message.new)
        return result if isinstance(result, Refusal) else None

    async def _role(self, role_id: str) -> AccessRole | None:
        row = await self._database.fetch_row(SELECT_ROLE, kept_as(None), role_id)
        return role_of(row) if row is not None else None

    async def _put_role(self, message: PutRole) -> AccessRole | Refusal:
        known, now = await self._role(message.role_id), self.system.clock.now()
        if message.base in {Role.CUSTOMER, Role.MACHINE}:
            detail = "a role narrows platform, owner, manager or support"
            return Refusal(RefusalKind.INVALID, "unknown_base", detail)
        if known is not None and known.base is not message.base:
            detail = f"the role {known.role_id} narrows {known.base.value}, and goes on doing so"
            return Refusal(RefusalKind.CONFLICT, "base_never_changes", detail)
        permissions = list(message.permissions)
        if known is None:
            row: tuple[Any, ...] = (message.role_id, message.base.value, permissions, now)
            write = Write(INSERT_ROLE, (kept_as(None), *row))
        else:
            write = Write(UPDATE_ROLE, (kept_as(None), message.role_id, permissions, now))
        if await append(self.system, (write,), message.publishes) is not None:
            return CHANGED_MEANWHILE
        return AccessRole(message.role_id, message.base, message.permissions, now)

    async def _delete_role(self, message: DeleteRole) -> Refusal | None:
        if await self._role(message.role_id) is None:
            return NO_ROLE
        if await self._database.fetch_value(ROLE_IN_USE, message.role_id):
            detail = f"accounts have the role {message.role_id}"
            return Refusal(RefusalKind.CONFLICT, "role_in_use", detail)
        write = Write(DELETE_ROLE, (kept_as(None), message.role_id))
        await append(self.system, (write,), message.publishes)
        return None
