"""Signing keys: whatever happens, the same key is given out, and its tokens verify."""

from random import Random
from typing import ClassVar

import attrs
import jwt

from actors.auth.messages import ALGORITHM, AUDIENCE, KEYS, GetVerificationKeys, Role
from actors.auth.tokens import issue_token
from runtime.sim import Operation, Run
from supervisors.simulation.parts import MERCHANT, ApplicationScenario, Part
from supervisors.simulation.tree import signing_key_of

TTL_S = 3_600
SAME_KEY = "tokens stay valid"


@attrs.frozen
class VerifyToken(Operation):
    """Fetch the keys, as a verifier does that has just started."""

    def __str__(self) -> str:
        return "verify a token"


class Auth(Part):
    """A token of before the faults, verified during them."""

    operations: ClassVar[tuple[type[Operation], ...]] = (VerifyToken,)

    def __init__(self) -> None:
        self._token = ""

    async def prepare(self, run: Run) -> None:
        self._token = issue_token(
            signing_key_of(run.world),
            subject="simulated",
            role=Role.OWNER,
            merchant_id=MERCHANT,
            customer_id=None,
            token_id="token-1",  # noqa: S106 - a name
            now=run.world.clock.now(),
            ttl_s=TTL_S,
        )

    def draw(self, random: Random) -> Operation:
        return VerifyToken()

    async def perform(self, run: Run, operation: Operation) -> None:
        keys = await run.ask(lambda system: system.ref(KEYS).ask(GetVerificationKeys()))
        if keys is None:
            return
        kid = jwt.get_unverified_header(self._token)["kid"]
        found = [key for key in keys if key.kid == kid]
        run.findings.check(len(found) == 1, SAME_KEY, f"{len(found)} keys of that name")
        for key in found:
            self._verify(run, key.public_pem)

    def _verify(self, run: Run, public_pem: str) -> None:
        """By signature alone: the wall clock of the library is not the simulation's."""
        try:
            jwt.decode(
                self._token,
                public_pem,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            run.findings.add(SAME_KEY, str(error))

    async def check(self, run: Run) -> None:
        await self.perform(run, VerifyToken())


class AuthScenario(ApplicationScenario):
    """The keyring alone."""

    name = "auth"
    parts = (Auth,)
