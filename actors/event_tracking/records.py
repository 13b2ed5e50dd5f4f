"""Parcels as they lie on the disk."""

import msgspec

from actors.event_tracking.messages import Parcel


class Spilled(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record of the spill file. `number` counts up within its source, which is one opening of
    the file: by both the database knows which records it has."""

    source: str
    number: int
    merchant_id: str
    events: int
    rows: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Spilled).decode


def encode_spilled(source: str, number: int, parcel: Parcel) -> bytes:
    return _encode(Spilled(source, number, parcel.merchant_id, parcel.events, parcel.rows))


def decode_spilled(payload: bytes) -> Spilled:
    """Raises `msgspec.MsgspecError`."""
    return _decode(payload)
