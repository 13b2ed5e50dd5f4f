"""How far an import got, kept in the data directory until it is done."""

import hashlib
import os
from pathlib import Path

import attrs
import msgspec

from cli.importing.tally import Tally

DIRECTORY = "imports"
NAME_DIGITS = 16


@attrs.frozen
class Checkpoint:
    """The first `batches` batches are dealt with. `report_bytes` is the length of the error
    report at that moment."""

    batches: int
    tally: Tally
    report_bytes: int


class CheckpointFile:
    """The checkpoint of one file for one merchant, recognised by the content of the file."""

    def __init__(self, data_dir: Path, sha256: str, merchant_id: str, currency: str) -> None:
        name = f"{merchant_id}-{currency}-{sha256[:NAME_DIGITS]}.json"
        self._path = data_dir / DIRECTORY / name

    def load(self) -> Checkpoint | None:
        """The checkpoint, unless there is none or it is damaged: then an import starts anew,
        which is harmless."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Checkpoint)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
