"""`loyalnest keys`: the keys that sign access tokens, verify them, and seal personal data."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from actors.auth.keys import KeySet, KeyStore
from cli.data_directory import prepare_data_dir
from cli.errors import EXIT_USAGE, CommandFailed
from cli.key_store import data_key_store, key_store
from cli.options import settings_options
from config import Settings

WHERE = ("environment", "data_dir", "signing_key_file")


@click.group("keys", short_help="Show, rotate or revoke the keys that sign tokens.")
def keys() -> None:
    """The keys that sign access tokens, and those whose tokens are still accepted.

    A running server notices a change within seconds.
    """


@keys.command("list", short_help="Show the keys whose tokens are accepted.")
@click.option("--json", "as_json", is_flag=True, help="print JSON instead of a table")
@settings_options(*WHERE)
def list_(settings: Settings, as_json: bool) -> None:
    """Print each key's id, and what it is for."""
    store = key_store(settings)
    rows = list(_rows(store, store.read(datetime.now(UTC))))
    if as_json:
        print(json.dumps([{"kid": kid, "state": state} for kid, state in rows], indent=2))
        return
    for kid, state in rows:
        print(f"{kid}  {state}")


def _rows(store: KeyStore, found: KeySet) -> Iterator[tuple[str, str]]:
    until = {record.kid: record.accepted_until for record in store.records.all()}
    for key in found.accepted:
        if key.kid == found.signing.kid:
            yield key.kid, "signs"
        elif (end := until.get(key.kid)) is not None:
            yield key.kid, f"accepted until {end:%Y-%m-%dT%H:%M:%SZ}"
        else:
            yield key.kid, "accepted, from a file of its own"


@keys.command("rotate", short_help="Sign with a new key from now on.")
@settings_options(*WHERE, key_needed=False)
def rotate(settings: Settings) -> None:
    """Put a new key in the place of the one that signs, or make the first one.

    Tokens of the old key are accepted until they expire. Where the key is mounted from elsewhere,
    replace it there instead: servers see that as well.
    """
    prepare_data_dir(settings)
    store = key_store(settings)
    print(f"{store.rotate(datetime.now(UTC)).kid}  signs, from {store.path}")


@keys.command("revoke", short_help="Accept the tokens of a replaced key no longer.")
@click.argument("kid")
@settings_options(*WHERE)
def revoke(settings: Settings, kid: str) -> None:
    """Accept the tokens of the key KID no longer, within 20 seconds. Rotate the key first."""
    store = key_store(settings)
    found = store.read(datetime.now(UTC))
    if kid == found.signing.kid:
        raise CommandFailed(f"{kid} is the key that signs; run `loyalnest keys rotate` first")
    if not store.records.forget(kid):
        of_file = any(key.kid == kid for key in found.accepted)
        hint = f"; remove its file in {store.path.parent}" if of_file else ""
        raise CommandFailed(f"{kid} is no key that was replaced{hint}", EXIT_USAGE)
    print(f"{kid}  revoked")


@keys.command("rotate-data", short_help="Seal personal data with a new key from now on.")
@settings_options("environment", "data_dir", "personal_data_key_file", key_needed=False)
def rotate_data(settings: Settings) -> None:
    """Add a key to those that seal addresses, phone numbers and secrets, or make the first ones.

    The older keys stay in the file: what they sealed is sealed again within a day. Keep a copy of
    the file; what it sealed is lost without it.
    """
    prepare_data_dir(settings)
    store = data_key_store(settings)
    print(f"version {store.rotate().current}  seals, from {store.path}")
