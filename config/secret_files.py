"""Secrets in files: reading them, who else may read them, and what is put together from them."""

import os
import stat
from pathlib import Path

import attrs

from config.errors import SettingsError
from config.parsers import Parser, masked_url, with_password

SECRET_MAX_BYTES = 64 * 1024


def read_secret(path: Path) -> str:
    """The text in a file, without the newline at its end.

    Blocks on the disk. Raises `SettingsError`, which says nothing of what is in the file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SECRET_MAX_BYTES + 1)
        text = raw.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"secret file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"secret file {path}: not UTF-8 text") from None
    if len(raw) > SECRET_MAX_BYTES:
        raise SettingsError(f"secret file {path}: more than {SECRET_MAX_BYTES} bytes")
    if not text or not text.isprintable():
        reason = "not one line of text" if text else "empty"
        raise SettingsError(f"secret file {path}: {reason}")
    return text


def exposure(path: Path) -> str | None:
    """Why a secret file is not secret enough, or None. Raises `OSError` when there is none.

    A file of our own must be for its owner alone. That of somebody else, such as a secret that
    Kubernetes mounts for a group, must not be open to everybody; it is not, whatever its own mode,
    below a directory that others may not enter. Symbolic links are followed.
    """
    resolved = path.resolve(strict=True)
    found = resolved.stat()
    if found.st_uid == os.geteuid():
        return "readable by others than its owner (chmod 600 it)" if found.st_mode & 0o077 else None
    open_to_all = found.st_mode & (stat.S_IROTH | stat.S_IWOTH)
    if open_to_all and all(folder.stat().st_mode & stat.S_IXOTH for folder in resolved.parents):
        return "readable by everybody (mount it with mode 0440 or 0400)"
    return None


@attrs.frozen
class TextSecret:
    """A secret that is all of a file; None without one."""

    name: str
    file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What may change while the program runs."""
        return (self.file,) if self.file is not None else ()

    def read(self) -> str | None:
        """The text as it is now. Blocks on the disk. Raises `SettingsError`."""
        return read_secret(self.file) if self.file is not None else None


@attrs.frozen
class UrlSecret:
    """A URL of which a part is in files: all of it in `url_file`, or only the password."""

    name: str
    parse: Parser
    url: str | None = attrs.field(default=None, repr=masked_url)
    url_file: Path | None = None
    password_file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What may change while the program runs."""
        return tuple(file for file in (self.url_file, self.password_file) if file is not None)

    def read(self) -> str | None:
        """The URL as it is now. Blocks on the disk. Raises `SettingsError`."""
        url = self._parsed(self.url_file) if self.url_file is not None else self.url
        if self.password_file is None:
            return url
        if url is None or url.startswith("sqlite:"):
            raise SettingsError(
                f"{self.name}_password_file: {self.name}_url names no server that has a password"
            )
        return with_password(url, read_secret(self.password_file))

    def _parsed(self, file: Path) -> str | None:
        try:
            url = self.parse(read_secret(file))
        except ValueError as error:
            raise SettingsError(
                f"{self.name}_url_file: what is in {file} is wrong; allowed: {error}"
            ) from None
        return url if isinstance(url, str) else None
