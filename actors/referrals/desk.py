"""The actor that takes invitations, claims and reviews."""

from typing import Any, ClassVar

from actors.referrals.claiming import Claiming
from actors.referrals.inviting import Inviting
from actors.referrals.messages import ChangeProgram, Claim, Invite, ReviewReferral
from actors.referrals.metrics import ReferralMetrics
from actors.referrals.reviewing import Reviewing
from actors.vocabulary import Refusal
from runtime import ActorError, Workers
from runtime.registries import in_registry
from runtime.storage import Database, StorageError


class ReferralDesk(Workers):
    """Several at a time: what they write is guarded by keys, caps and states in the database, and
    whoever comes second decides again."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, ReferralMetrics)

    async def receive(self, message: Any) -> object:
        match message:
            case Invite():
                invitation = await Inviting(self.system, self._database).invite(message)
                return self._counted("invite", invitation)
            case Claim():
                claimed = await Claiming(self.system, self._database).claim(message)
                return self._counted("claim", claimed)
            case ReviewReferral():
                return await Reviewing(self.system, self._database).review(message)
            case ChangeProgram():
                return await Reviewing(self.system, self._database).change_program(message)
        return await super().receive(message)

    def _counted(self, what: str, answer: object) -> object:
        outcome = answer.code if isinstance(answer, Refusal) else "taken"
        self._metrics.requests.labels(what, outcome).inc()
        return answer
