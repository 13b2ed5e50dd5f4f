"""Between the auth domain's values and its tables."""

from datetime import datetime
from typing import Any

import attrs

from actors.auth.messages import AccessRole, Account, ApiKey, LoginAttempt, Role
from actors.auth.model import kept_as, merchant_of
from actors.auth.queries import INSERT_ACCOUNT, INSERT_ATTEMPT, REVOKE
from runtime.storage import Row, Write


@attrs.frozen
class Credentials:
    """An account with the hash of its password."""

    account: Account
    password_hash: str = attrs.field(repr=False)


def credentials_of(row: Row) -> Credentials:
    """A row of `ACCOUNT_COLUMNS`."""
    return Credentials(account_of(row), row["password_hash"])


def account_of(row: Row) -> Account:
    """A row of `ACCOUNT_COLUMNS`."""
    merchant_id, account_id, email, role, customer_id, role_id, disabled, created, changed, _ = row
    return Account(
        merchant_id=merchant_of(merchant_id),
        account_id=account_id,
        email=email,
        role=Role(role),
        customer_id=customer_id,
        role_id=role_id,
        disabled=disabled,
        created_at=created,
        changed_at=changed,
    )


def account_write(account: Account, password_hash: str) -> Write:
    row: tuple[Any, ...] = (
        kept_as(account.merchant_id),
        account.account_id,
        account.email,
        password_hash,
        account.role.value,
        account.customer_id,
        account.role_id,
        account.disabled,
        account.created_at,
        account.changed_at,
    )
    return Write(INSERT_ACCOUNT, row)


def role_of(row: Row) -> AccessRole:
    """A row of `ROLE_COLUMNS`."""
    return AccessRole(row[0], Role(row[1]), tuple(row[2]), row[3])


def api_key_of(row: Row) -> ApiKey:
    """A row of `API_KEY_COLUMNS`."""
    merchant_id, key_id, name, scopes, created_by, created_at, expires_at, last_used_at = row
    return ApiKey(
        merchant_id=merchant_id,
        key_id=key_id,
        name=name,
        scopes=tuple(scopes),
        created_by=created_by,
        created_at=created_at,
        expires_at=expires_at,
        last_used_at=last_used_at,
    )


def attempt_write(attempt: LoginAttempt, email_hash: str, device_hash: str | None) -> Write:
    row: tuple[Any, ...] = (
        kept_as(attempt.merchant_id),
        attempt.attempt_id,
        attempt.happened_at,
        email_hash,
        attempt.account_id,
        attempt.address,
        device_hash,
        attempt.outcome,
    )
    return Write(INSERT_ATTEMPT, row)


def attempt_of(row: Row) -> LoginAttempt:
    """A row of `ATTEMPT_COLUMNS`."""
    merchant_id, attempt_id, happened_at, account_id, address, device_hash, outcome = row
    return LoginAttempt(
        attempt_id=attempt_id,
        merchant_id=merchant_of(merchant_id),
        happened_at=happened_at,
        account_id=account_id,
        address=address,
        known_device=device_hash is not None,
        outcome=outcome,
    )


def revocation_write(
    merchant_id: str | None, revoked_id: str, now: datetime, expires_at: datetime
) -> Write:
    return Write(REVOKE, (kept_as(merchant_id), revoked_id, now, expires_at))
