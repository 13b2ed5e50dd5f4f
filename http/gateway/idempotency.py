"""Idempotency keys: reading them, fingerprints, and one request at a time per key."""

import re
from hashlib import sha256
from typing import Final

import attrs
import trio

from actors.vocabulary import Idempotency
from gateway.bodies import KEY_PATTERN
from gateway.problems import Problem
from gateway.routes import Answer, ApiRequest, Handler, Keyed, encode_json

_KEY: Final = re.compile(KEY_PATTERN.encode())


def fingerprint(method: str, path: str, body: object) -> str:
    """What makes two requests the same one: method, path and the values of the body.

    Fields that have their default do not count, so that a new optional field changes no
    fingerprint that is stored already.
    """
    return sha256(f"{method} {path}\n".encode() + encode_json(body)).hexdigest()


def read_key(raw: bytes | None, keyed: Keyed) -> str | None:
    """The key in the header. Raises `Problem` when it is missing or malformed."""
    if keyed is Keyed.NONE:
        return None
    if raw is None:
        if keyed is Keyed.REQUIRED:
            detail = "send a header Idempotency-Key; the same key makes a retry safe"
            raise Problem(400, "idempotency_key_required", detail)
        return None
    if _KEY.match(raw) is None:
        detail = "Idempotency-Key must be 1 to 255 visible ASCII characters"
        raise Problem(400, "idempotency_key_invalid", detail)
    return raw.decode("ascii")


@attrs.frozen
class Flight:
    """A request that is being worked on."""

    fingerprint: str
    landed: trio.Event = attrs.field(factory=trio.Event)


class InFlight:
    """The keys being worked on. It has one entry for each running request at most."""

    def __init__(self) -> None:
        self._flights: dict[tuple[str, str], Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def alone(self, request: ApiRequest, wait_until: float, handler: Handler) -> Answer:
        """Answer a request while no other one has its key.

        Raises `Problem`: 422 when another request has the key, 409 when the same one still
        runs at `wait_until`.
        """
        idempotency = request.key
        slot = (request.merchant_id, idempotency.key)
        while (other := self._flights.get(slot)) is not None:
            await self._wait_for(other, idempotency, wait_until)
        flight = self._flights[slot] = Flight(idempotency.fingerprint)
        try:
            return await handler(request)
        finally:
            del self._flights[slot]
            flight.landed.set()

    async def _wait_for(self, other: Flight, idempotency: Idempotency, until: float) -> None:
        if other.fingerprint != idempotency.fingerprint:
            detail = "the idempotency key is in use by another request"
            raise Problem(422, "idempotency_key_reused", detail)
        with trio.move_on_at(until) as scope:
            await other.landed.wait()
        if scope.cancelled_caught:
            detail = "the first request with this idempotency key is still being worked on"
            raise Problem(409, "idempotency_in_flight", detail)
