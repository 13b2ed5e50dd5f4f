"""The directory that keeps the signing key, the embedded database and what is under way."""

from cli.errors import CommandFailed
from config import Settings

OWNER_ONLY = 0o700


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory. Raises `CommandFailed`."""
    try:
        settings.data_dir.mkdir(OWNER_ONLY, parents=True, exist_ok=True)
    except OSError as error:
        detail = error.strerror or str(error)
        raise CommandFailed(f"data directory {settings.data_dir}: {detail}") from error
