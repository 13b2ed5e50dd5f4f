"""The file with the keys of personal data: read, made on first use, and given another key."""

import base64
import binascii
from pathlib import Path

import attrs

from actors.core.cipher import KEY_BYTES, DataKeys, generated_keys, with_next_version
from actors.core.errors import DataKeyError
from actors.key_files import write_key_file
from config.secret_files import exposure

DATA_KEY_FILE = "personal-data.keys"
FILE_MAX_BYTES = 64 * 1024
VERSIONS_MAX = 100
INDEX, DATA = "index", "data"

HEADING = (
    "# The keys of personal data. Keep a copy of this file: what they sealed is lost without it.\n"
)


@attrs.frozen
class DataKeyStore:
    """Where the keys are: in `directory`, or in `key_file` elsewhere.

    They are made on first use in `directory`, where `may_make` allows it. Every method blocks on
    the disk and raises `DataKeyError`.
    """

    directory: Path
    key_file: Path | None = None
    may_make: bool = True

    @property
    def path(self) -> Path:
        return self.key_file if self.key_file is not None else self.directory / DATA_KEY_FILE

    def read(self) -> DataKeys:
        """The keys as they are now, made on first use."""
        try:
            if self.key_file is None and self.may_make and not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_key_file(self.path, text_of(generated_keys()).encode(), replace=False)
            problem = exposure(self.path)
            with self.path.open("rb") as file:
                raw = file.read(FILE_MAX_BYTES)
        except OSError as error:
            raise DataKeyError(f"{self.path}: {error.strerror or error}") from error
        if problem is not None:
            raise DataKeyError(f"{self.path}: {problem}")
        try:
            return parsed(raw.decode())
        except ValueError as error:
            raise DataKeyError(f"{self.path}: not a file of data keys") from error

    def rotate(self) -> DataKeys:
        """Add a key, which seals from now on; the first ones where there are none."""
        try:
            if self.path.exists():
                keys = with_next_version(self.read())
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                keys = generated_keys()
            write_key_file(self.path, text_of(keys).encode(), replace=True)
        except OSError as error:
            raise DataKeyError(f"{self.path}: {error.strerror or error}") from error
        return keys


def parsed(text: str) -> DataKeys:
    """The keys in the text of a file. Raises `ValueError`."""
    index: list[bytes] = []
    versions: dict[int, bytes] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        what, *number, encoded = line.split()
        if what == INDEX and not number:
            index.append(_key(encoded))
        elif what == DATA and len(number) == 1 and int(number[0]) not in versions:
            versions[int(number[0])] = _key(encoded)
        else:
            raise ValueError(what)
    if len(index) != 1 or not 1 <= len(versions) <= VERSIONS_MAX or min(versions) < 1:
        raise ValueError("one index key and some data keys")
    return DataKeys(index[0], versions)


def _key(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("base 64") from error
    if len(key) != KEY_BYTES:
        raise ValueError("length")
    return key


def text_of(keys: DataKeys) -> str:
    """What a file with these keys says."""
    lines = [f"{INDEX} {base64.b64encode(keys.index).decode()}"]
    for version, key in sorted(keys.versions.items()):
        lines.append(f"{DATA} {version} {base64.b64encode(key).decode()}")
    return HEADING + "\n".join(lines) + "\n"
