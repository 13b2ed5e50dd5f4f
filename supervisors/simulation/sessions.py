"""Logins and sessions: a refresh token works once, and who has logged out is known to be out."""

from random import Random
from typing import ClassVar

import attrs
import jwt

from actors.auth.messages import (
    ACCOUNTS,
    LOGINS,
    REVOCATIONS,
    SESSIONS,
    Account,
    CreateAccount,
    Denial,
    FollowRevocations,
    Grant,
    LogIn,
    LogOut,
    Principal,
    Refresh,
    Role,
)
from runtime.sim import Operation, Run, SimulatedSystem
from supervisors.simulation.parts import MERCHANT, ApplicationScenario, Part

EMAIL = "owner@shop.example"
PASSWORD = "nine green bicycles"  # noqa: S105 - of nobody
SESSIONS_MAX = 10
"""Fewer than an account may have: none is ended to make room."""

WORKS_ONCE = "a refresh token works once"
OUT = "who has logged out stays out"


@attrs.frozen
class Enter(Operation):
    def __str__(self) -> str:
        return "log in"


@attrs.frozen
class Renew(Operation):
    def __str__(self) -> str:
        return "use a refresh token"


@attrs.frozen
class Leave(Operation):
    def __str__(self) -> str:
        return "log out"


@attrs.frozen
class Held:
    """A session as its client has it."""

    session_id: str
    refresh_token: str


class Sessions(Part):
    """Clients of one account. What they do not know the outcome of, they let go. Where requests
    come twice, a refresh does as well, which ends its session."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Enter, Renew, Leave)

    def __init__(self) -> None:
        self._entered = 0
        self._held: list[Held] = []
        self._used: list[str] = []
        self._left: list[Held] = []

    async def prepare(self, run: Run) -> None:
        system = await run.service.up()
        command = CreateAccount(
            merchant_id=MERCHANT,
            account_id="acc-1",
            email=EMAIL,
            password=PASSWORD,
            role=Role.OWNER,
        )
        account = await system.ref(ACCOUNTS).ask(command)
        run.findings.check(isinstance(account, Account), "prepared", str(account))

    def draw(self, random: Random) -> Operation:
        return random.choices((Enter(), Renew(), Leave()), (4, 4, 1))[0]

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case Enter():
                await self._enter(run)
            case Renew() if self._held:
                await self._renew(run, self._held.pop(0))
            case Leave() if self._held:
                await self._leave(run, self._held.pop())

    async def _enter(self, run: Run) -> None:
        if self._entered >= SESSIONS_MAX:
            return
        self._entered += 1
        login = LogIn(merchant_id=MERCHANT, email=EMAIL, password=PASSWORD, address="192.0.2.1")
        answer = await run.ask(lambda system: system.ref(LOGINS).ask(login))
        if isinstance(answer, Grant):
            self._held.append(Held(_session_of(answer), answer.refresh_token))
        elif answer is not None and answer.code != "login_throttled":
            run.findings.add("right answers", f"a login was denied: {answer.code}")

    async def _renew(self, run: Run, held: Held) -> None:
        token = held.refresh_token
        answer = await run.ask(lambda system: system.ref(SESSIONS).ask(Refresh(token)))
        if isinstance(answer, Grant):
            self._used.append(token)
            run.findings.check(
                _session_of(answer) == held.session_id, WORKS_ONCE, "another session"
            )
            self._held.append(Held(held.session_id, answer.refresh_token))
        elif answer is not None and not run.plan.chances.request_twice:
            run.findings.add("right answers", f"a fresh token was denied: {answer.code}")

    async def _leave(self, run: Run, held: Held) -> None:
        caller = Principal("acc-1", Role.OWNER, MERCHANT, None, 0.0, "tok-1", held.session_id)

        async def leave(system: SimulatedSystem) -> bool:
            await system.ref(SESSIONS).ask(LogOut(caller))
            return True

        if await run.until_answered(leave):
            self._left.append(held)

    async def check(self, run: Run) -> None:
        system = await run.service.up()
        known = await system.ref(REVOCATIONS).ask(FollowRevocations())
        revoked = {each.revoked_id for each in known.revoked}
        for held in self._left:
            detail = f"session {held.session_id} is not known to be revoked"
            run.findings.check(held.session_id in revoked, OUT, detail)
            answer = await system.ref(SESSIONS).ask(Refresh(held.refresh_token))
            run.findings.check(isinstance(answer, Denial), OUT, "its refresh token works")
        for token in self._used:
            answer = await system.ref(SESSIONS).ask(Refresh(token))
            run.findings.check(isinstance(answer, Denial), WORKS_ONCE, "it worked again in the end")


def _session_of(grant: Grant) -> str:
    """As the token's claims say it, which nobody here has to verify."""
    return str(jwt.decode(grant.access_token, options={"verify_signature": False})["sid"])


class SessionsScenario(ApplicationScenario):
    """Logins alone."""

    name = "sessions"
    parts = (Sessions,)
