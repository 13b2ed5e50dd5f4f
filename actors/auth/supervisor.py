"""The auth domain's children and migrations."""

from collections.abc import Callable
from pathlib import Path

from actors.auth.accounts import Accounts
from actors.auth.api_keys import ApiKeys
from actors.auth.captcha import Captcha
from actors.auth.hashing import QUEUE, Hashing
from actors.auth.inside import HASHING
from actors.auth.keyring import ReadFrom, keyring_child, keys_from
from actors.auth.keys import KeyStore
from actors.auth.logins import Logins
from actors.auth.messages import (
    ACCOUNTS,
    API_KEYS,
    CAPTCHA,
    GUARD,
    LOGINS,
    QUERIES,
    REVOCATIONS,
    SESSIONS,
)
from actors.auth.readers import AuthReaders
from actors.auth.revocations import RevocationList
from actors.auth.sessions import Sessions
from actors.auth.standing import Guard
from actors.auth.upkeep import Upkeep
from runtime import REFUSING, Actor, ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("auth", "actors.auth.migrations")

StartHashing = Callable[[], Hashing]


def auth_children(
    keys: KeyStore | Path,
    database: Database,
    cache: CacheHandle,
    read_from: ReadFrom = keys_from,
    hashing: StartHashing = Hashing,
) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start: first what verifies tokens."""

    def child(id_: str, start: Callable[[], Actor], name: str) -> ChildSpec:
        return ChildSpec(id_, start, name=name, mailbox=REFUSING)

    return (
        keyring_child(keys, read_from),
        child("revocations", lambda: RevocationList(database, cache), REVOCATIONS),
        child("guard", lambda: Guard(database, cache), GUARD),
        child("api_keys", lambda: ApiKeys(database), API_KEYS),
        child("sessions", lambda: Sessions(database), SESSIONS),
        ChildSpec("hashing", hashing, name=HASHING, mailbox=QUEUE),
        child("captcha", Captcha, CAPTCHA),
        child("logins", lambda: Logins(database), LOGINS),
        child("accounts", lambda: Accounts(database), ACCOUNTS),
        child("queries", lambda: AuthReaders(database), QUERIES),
        ChildSpec("upkeep", lambda: Upkeep(database)),
    )
