"""The settings' secrets in the terms of those who use them."""

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from config import Settings
from config.secret_files import TextSecret, UrlSecret
from runtime.rotation import RotatingSecret
from supervisors.secrets import WatchedSecret


def rotating(
    settings: Settings,
) -> tuple[RotatingSecret, RotatingSecret | None, tuple[WatchedSecret, ...]]:
    """The URLs of the database and of Redis, and those of them that are to be watched."""
    database = RotatingSecret(settings.database_url)
    redis = RotatingSecret(settings.redis_url) if settings.redis_url is not None else None
    watched = tuple(
        WatchedSecret(name, secret, in_thread(settings.secrets[name]))
        for name, secret in (("database", database), ("redis", redis))
        if secret is not None and settings.secrets[name].files
    )
    return database, redis, watched


def in_thread(secret: UrlSecret | TextSecret) -> Callable[[], Awaitable[str | None]]:
    return partial(trio.to_thread.run_sync, secret.read, abandon_on_cancel=True)
