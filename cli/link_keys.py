"""The secret that shards prove to each other that they belong together."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from actors.key_files import write_key_file
from cli.data_directory import prepare_data_dir
from cli.errors import CommandFailed
from config import Settings
from config.secret_files import read_secret
from runtime.links.spec import SECRET_BYTES_MIN

NEW_BYTES: Final = 32


def link_secrets(settings: Settings) -> Callable[[], Sequence[bytes]]:
    """Reads them again each time: the first one counts, the others are accepted while they are
    being replaced.

    Outside of production one is made where there is none. Raises `CommandFailed` and
    `SettingsError`.
    """
    path = settings.link_key
    if not path.exists() and not settings.production and settings.link_key_file is None:
        prepare_data_dir(settings)
        write_key_file(path, secrets.token_urlsafe(NEW_BYTES).encode() + b"\n", replace=False)
    read = partial(_read, settings)
    read()
    return read


def _read(settings: Settings) -> Sequence[bytes]:
    found = read_secret(settings.link_key).encode().split()
    for secret in found:
        if len(secret) < SECRET_BYTES_MIN:
            raise CommandFailed(
                f"secret file {settings.link_key}: a secret has {SECRET_BYTES_MIN} bytes or more"
            )
    return found
