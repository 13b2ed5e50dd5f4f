"""How many invitations a day: counted in the entry that makes them, so that no cap is passed."""

from collections.abc import Iterable
from datetime import datetime

import attrs

from actors.referrals.lookups import Lookups
from actors.referrals.messages import Program
from actors.referrals.queries import COUNT
from actors.vocabulary import Refusal, RefusalKind
from runtime.storage import Write

INVITATIONS, TEXTS, ADVOCATE, ADDRESS = "invitations", "texts", "advocate", "address"
EVERYBODY = "-"

WORDS = {
    INVITATIONS: "the merchant's invitations of today are used up",
    TEXTS: "the merchant's texts of today are used up",
    ADVOCATE: "this advocate has invited enough friends today",
    ADDRESS: "so many invitations came from this connection today",
}


@attrs.frozen
class Cap:
    """`who` is counted for `what`, up to `most` a day."""

    what: str
    who: str
    most: int


def caps_of(program: Program, advocate_id: str, ip: str | None, *, text: bool) -> tuple[Cap, ...]:
    """What one invitation counts against, and may be refused for."""
    caps = [
        Cap(INVITATIONS, EVERYBODY, program.invitations_per_day),
        Cap(ADVOCATE, advocate_id, program.invitations_per_advocate),
    ]
    if text:
        caps.append(Cap(TEXTS, EVERYBODY, program.texts_per_day))
    if ip is not None:
        caps.append(Cap(ADDRESS, f"ip:{ip}", program.invitations_per_ip))
    return tuple(caps)


def person_cap(program: Program, friend_key: str) -> Cap:
    """How often one person is written to. That it is reached is not told to who invites."""
    return Cap(ADDRESS, friend_key, program.invitations_per_address)


def day_of(now: datetime) -> str:
    return f"{now:%Y-%m-%d}"


async def exceeded(
    lookups: Lookups, merchant_id: str, caps: Iterable[Cap], now: datetime
) -> Refusal | None:
    """The first cap that has no room left."""
    for cap in caps:
        used = await lookups.used(merchant_id, day_of(now), cap.what, cap.who)
        if used >= cap.most:
            return Refusal(RefusalKind.CONFLICT, f"{cap.what}_cap_reached", WORDS[cap.what])
    return None


def count_writes(merchant_id: str, caps: Iterable[Cap], now: datetime) -> tuple[Write, ...]:
    """Take one of each; the table refuses more than there is."""
    day = day_of(now)
    return tuple(Write(COUNT, (merchant_id, day, cap.what, cap.who, 1, cap.most)) for cap in caps)
