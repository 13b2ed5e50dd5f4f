"""The record of signing keys: which ones were replaced, and until when their tokens count."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import msgspec

from actors.auth.errors import KeyFileError
from actors.auth.messages import MAX_TTL_S, VerificationKey

RECORDS_FILE = "verification-keys.json"
LOCK_FILE = "verification-keys.lock"
OWNER_ONLY = 0o600
OTHERS_WRITE = 0o022
RECORDS_MAX = 64

KEPT = timedelta(seconds=MAX_TTL_S + 60)
"""How long a key is accepted after it was replaced: all that it signed has expired by then."""


@attrs.frozen
class KeyRecord:
    """A public key that signs, or did until `replaced_at`."""

    kid: str
    public_pem: str
    replaced_at: datetime | None = None

    @property
    def accepted_until(self) -> datetime | None:
        return self.replaced_at + KEPT if self.replaced_at is not None else None


@attrs.frozen
class KeyRecords:
    """The file in the data directory. It holds no secret, but whoever can write it can add a key:
    it is refused when others than its owner may.

    Every method blocks on the disk and raises `KeyFileError`.
    """

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / RECORDS_FILE

    def all(self) -> tuple[KeyRecord, ...]:
        """Every key that is recorded, the latest first."""
        try:
            if self.path.stat().st_mode & OTHERS_WRITE:
                raise KeyFileError(
                    f"{self.path}: others than its owner may write it (chmod 600 it)"
                )
            return msgspec.json.decode(self.path.read_bytes(), type=tuple[KeyRecord, ...])
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise KeyFileError(f"{self.path}: {error.strerror or error}") from error
        except msgspec.MsgspecError:
            raise KeyFileError(
                f"{self.path}: damaged; without it replaced keys are forgotten"
            ) from None

    def note(self, signing: VerificationKey, now: datetime) -> list[VerificationKey]:
        """Record which key signs now; those that it replaced, as far as they are accepted."""
        known = self.all()
        if self._updated(known, signing, now) != known:
            with self._locked():
                known = self.all()
                self._write(self._updated(known, signing, now))
                known = self.all()
        return [VerificationKey(record.kid, record.public_pem) for record in known]

    @staticmethod
    def _updated(
        known: Sequence[KeyRecord], signing: VerificationKey, now: datetime
    ) -> tuple[KeyRecord, ...]:
        others = [
            attrs.evolve(record, replaced_at=record.replaced_at or now)
            for record in known
            if record.kid != signing.kid
        ]
        kept = [each for each in others if each.accepted_until is None or each.accepted_until > now]
        return (KeyRecord(signing.kid, signing.public_pem), *kept)[:RECORDS_MAX]

    def forget(self, kid: str) -> bool:
        """Accept a replaced key no longer; says whether it was known."""
        with self._locked():
            known = self.all()
            kept = tuple(record for record in known if record.kid != kid)
            if len(kept) == len(known):
                return False
            self._write(kept)
        return True

    def _write(self, records: Sequence[KeyRecord]) -> None:
        temporary = self.path.with_name(f"{RECORDS_FILE}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(records))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time reads and writes it."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise KeyFileError(f"{self.path}: {error.strerror or error}") from error
