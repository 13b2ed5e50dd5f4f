"""The actor that makes challenges, and takes each solution once."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.auth.inside import GetChallengeKey, Redeem
from actors.auth.messages import KEYS, GetChallenge
from actors.auth.model import kept_as
from actors.auth.puzzles import check_solution, make_challenge
from actors.auth.queries import USE_CAPTCHA
from actors.auth.writing import append
from runtime import ActorError, Workers
from runtime.storage import StorageError, Write


class Captcha(Workers):
    """Which solutions were taken is in the database: a second time is a broken constraint, in
    whatever process."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    async def receive(self, message: Any) -> object:
        match message:
            case GetChallenge():
                return make_challenge(await self._key(), self.system.secrets, self._now())
            case Redeem():
                return await self._redeem(message.solution)
        return await super().receive(message)

    async def _redeem(self, solution: str) -> bool:
        solved = check_solution(await self._key(), solution, self._now())
        if solved is None:
            return False
        until = datetime.fromtimestamp(solved.expires_at, UTC)
        using = Write(USE_CAPTCHA, (kept_as(None), solved.challenge, until))
        return await append(self.system, (using,)) is None

    async def _key(self) -> bytes:
        return await self.system.ref(KEYS).ask(GetChallengeKey())

    def _now(self) -> datetime:
        return self.system.clock.now()
