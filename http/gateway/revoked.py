"""What the gateway knows to be revoked, and how it hears of it."""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from actors.auth.messages import REVOCATIONS, FollowRevocations, Principal, Revocations
from gateway.domains import Domains
from gateway.problems import Headers, Problem
from runtime import Actor, ActorError, ActorSystem, request_context
from runtime.policies import Policies, PolicyError
from runtime.ports import Clock
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.auth")

FIRST_TIMEOUT_S: Final = 1.0
FOLLOW_TIMEOUT_S: Final = 15.0
"""Longer than whoever is followed lets anybody wait."""

AGAIN_S: Final = 1.0
FORGET_EVERY: Final = 64
"""Answers after which what has expired is forgotten."""

REVOKED: Final[Headers] = (("www-authenticate", 'Bearer realm="loyalnest", error="invalid_token"'),)


class RevokedTokens:
    """Tokens, sessions and keys that are not accepted, and merchants that are suspended.

    While the auth domain is away it stays as it was.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._suspended: frozenset[str] = frozenset()
        self._answers = 0
        self._looked = trio.Event()
        self.mark = ""

    async def looked(self) -> None:
        """Wait until somebody has looked, with or without success. A checkpoint only where nobody
        has."""
        if not self._looked.is_set():
            with trio.move_on_after(FIRST_TIMEOUT_S):
                await self._looked.wait()

    def found_nothing(self) -> None:
        """Whoever could tell is away: go by what is known."""
        self._looked.set()

    def check(self, principal: Principal) -> None:
        """Raises `Problem` for a caller who is not let in any more."""
        until = self._until
        if until and (principal.token_id in until or principal.session_id in until):
            raise Problem(401, "token_revoked", "the token was revoked; log in again", REVOKED)
        if principal.merchant_id in self._suspended:
            raise Problem(403, "merchant_suspended", "the merchant is suspended")

    def learn(self, news: Revocations, now_s: float) -> None:
        """Take in what there is to know."""
        fresh = {each.revoked_id: each.expires_at for each in news.revoked}
        self._until = fresh if news.complete else self._until | fresh if fresh else self._until
        self._suspended, self.mark = news.suspended, news.mark
        self._answers += 1
        self._looked.set()
        if self._answers % FORGET_EVERY == 0:
            self._until = {id_: until for id_, until in self._until.items() if until > now_s}


class RevocationFollower(Actor):
    """Keeps `RevokedTokens` up to date."""

    def __init__(
        self, revoked: RevokedTokens, policies_of: Callable[[ActorSystem], Policies]
    ) -> None:
        self._revoked = revoked
        self._policies_of = policies_of

    async def started(self) -> None:
        self.start_task(self._follow)

    async def _follow(self) -> None:
        trouble = Trouble(log, "revocations_not_followed", "revocations_followed_again")
        while True:
            if not await self._ask(self._revoked.mark, FOLLOW_TIMEOUT_S, trouble):
                self._revoked.found_nothing()
                await trio.sleep(AGAIN_S)

    async def _ask(self, mark: str, timeout_s: float, trouble: Trouble) -> bool:
        domains = Domains(self.system, self._policies_of(self.system))
        with request_context(deadline=trio.current_time() + timeout_s):
            try:
                news = await domains.ask(REVOCATIONS, FollowRevocations(mark), bulk=True)
            except (ActorError, PolicyError) as error:
                trouble.failed(error)
                return False
        trouble.ended()
        clock: Clock = self.system.clock
        self._revoked.learn(news, clock.now().timestamp())
        return True
