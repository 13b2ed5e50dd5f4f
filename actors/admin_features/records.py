"""Between flags, their rows, and the snapshot that processes and the disk share."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs
import msgspec

from actors.admin_features.evaluation import has_type, values_of
from actors.admin_features.messages import Flag, FlagRevision, FlagTerms
from runtime.storage import Row


@attrs.frozen
class Snapshot:
    """All flags, as they were known at `read_at`. `unreadable` counts those that were left out."""

    read_at: datetime
    flags: Mapping[str, Flag]
    unreadable: int = 0

    @property
    def revision(self) -> int:
        """Versions never go back, and flags never go away: so this only grows."""
        return sum(flag.version for flag in self.flags.values())


class StoredSnapshot(msgspec.Struct, frozen=True):
    """A snapshot as text. Flags are kept apart, so that one that cannot be read spoils no other."""

    read_at: datetime
    flags: list[msgspec.Raw]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StoredSnapshot).decode
_decode_flag = msgspec.json.Decoder(Flag).decode


def encoded(snapshot: Snapshot) -> bytes:
    flags = [msgspec.Raw(_encode(flag)) for flag in snapshot.flags.values()]
    return _encode(StoredSnapshot(snapshot.read_at, flags))


def decoded(data: bytes) -> Snapshot:
    """Raises `ValueError` for what is no snapshot at all."""
    try:
        stored = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"no snapshot of flags: {error}") from error
    found: dict[str, Flag] = {}
    unreadable = 0
    for raw in stored.flags:
        try:
            flag = _decode_flag(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            unreadable += 1
            continue
        if is_sound(flag):
            found[flag.key] = flag
        else:
            unreadable += 1
    return Snapshot(stored.read_at, found, unreadable)


def snapshot_of(rows: Iterable[Row], read_at: datetime) -> Snapshot:
    """What the rows say; those that say nothing sensible are counted."""
    found: dict[str, Flag] = {}
    unreadable = 0
    for row in rows:
        try:
            flag = flag_of(row)
        except msgspec.ValidationError:
            unreadable += 1
            continue
        if is_sound(flag):
            found[flag.key] = flag
        else:
            unreadable += 1
    return Snapshot(read_at, found, unreadable)


def is_sound(flag: Flag) -> bool:
    """Whether everything it may evaluate to is of its type."""
    return all(has_type(value, flag.terms.type) for value in values_of(flag.terms))


def flag_of(row: Row) -> Flag:
    """Raises `msgspec.ValidationError`."""
    terms = msgspec.convert(row["definition"], FlagTerms)
    return Flag(row["flag_key"], row["version"], terms, row["changed_at"])


def revision_of(row: Row) -> FlagRevision:
    terms = msgspec.convert(row["definition"], FlagTerms)
    return FlagRevision(row["version"], terms, row["changed_at"], row["changed_by"], row["reason"])
