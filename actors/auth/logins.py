"""The actor that people log in at."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

import attrs
import structlog

from actors.auth.granting import Granted, make_grant
from actors.auth.hashing import WAITING_MAX, Hashing
from actors.auth.inside import HASHING, Compared, ComparePassword, HashPassword, Redeem
from actors.auth.messages import CAPTCHA, Account, Denial, Grant, LogIn, LoginAttempt
from actors.auth.metrics import AuthMetrics
from actors.auth.model import (
    ACCOUNT_WINDOW,
    ADDRESS_WINDOW,
    BAD_CREDENTIALS,
    BUSY,
    CAPTCHA_INVALID,
    CAPTCHA_REQUIRED,
    SESSIONS_MAX,
    SUCCESS,
    SUSPENDED,
    WRONG,
    History,
    kept_as,
    merchant_of,
    normalised_email,
    session_life,
    throttled,
    too_many,
    wants_captcha,
)
from actors.auth.opaque import fingerprint, new_secret
from actors.auth.passwords import normalised
from actors.auth.queries import (
    FAILURES_OF_ACCOUNT,
    FAILURES_OF_ADDRESS,
    FAILURES_OF_DEVICE,
    INSERT_SESSION,
    IS_SUSPENDED,
    KEEP_DEVICE,
    KNOWS_DEVICE,
    OPEN_SESSIONS,
    REHASH,
    SELECT_BY_EMAIL,
)
from actors.auth.rows import Credentials, attempt_write, credentials_of
from actors.auth.writing import OUTLIVES, append, session_end, spread
from runtime import ActorError, MailboxFull, Workers
from runtime.registries import in_registry
from runtime.storage import Database, Entry, StorageError, Write

log = structlog.get_logger("loyalnest.auth")

UNDER_WAY_MAX = Hashing.concurrency + WAITING_MAX
"""Logins at a time: as many as can be hashed, and wait for that."""

DEVICE_PREFIX = "lnd_"
MANY = "too_many_sessions"


@attrs.frozen
class Attempt:
    """A login under way. `device_hash` is that of a device which the account knows, else None."""

    merchant: str
    email: str = attrs.field(repr=False)
    address: str
    device_hash: str | None

    @property
    def email_hash(self) -> str:
        return fingerprint(f"{self.merchant}/{self.email}")

    @property
    def counted(self) -> tuple[str, str]:
        """What failures count against, beside the address."""
        return self.email_hash, self.device_hash or ""


class Logins(Workers):
    """Checks passwords, and begins sessions.

    Failures are counted in the database, those under way in here: however many guesses come at
    once, no more are looked at than may fail. A device that has logged in to the account before
    has a count of its own, so that strangers who guess do not lock its owner out.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)
    concurrency: ClassVar[int] = 64

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._under_way = 0
        self._of_account: Counter[tuple[str, str]] = Counter()
        self._of_address: Counter[str] = Counter()
        self._metrics: AuthMetrics

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, AuthMetrics)

    async def receive(self, message: Any) -> object:
        if not isinstance(message, LogIn):
            return await super().receive(message)
        answer = await self._let_in(message)
        outcome = answer.code if isinstance(answer, Denial) else SUCCESS
        self._metrics.logins.labels(outcome).inc()
        return answer

    async def _let_in(self, message: LogIn) -> Grant | Denial:
        """Before anything is looked up: a flood must not cost more than saying no to it."""
        if self._under_way >= UNDER_WAY_MAX:
            return BUSY
        self._under_way += 1
        try:
            return await self._log_in(message)
        finally:
            self._under_way -= 1

    async def _log_in(self, message: LogIn) -> Grant | Denial:
        attempt = await self._attempt(message)
        with self._pending(attempt) as pending:
            history = await self._history(attempt, *pending)
            denial = throttled(history, self.system.clock.now())
            if denial is not None:
                return denial
            if wants_captcha(history):
                denial = await self._check_captcha(message.captcha)
                if denial is not None:
                    return denial
            return await self._check_password(attempt, message.password)

    async def _attempt(self, message: LogIn) -> Attempt:
        merchant, email = kept_as(message.merchant_id), normalised_email(message.email)
        device_hash = None
        if message.device_token is not None:
            candidate = fingerprint(message.device_token)
            if await self._database.fetch_value(KNOWS_DEVICE, merchant, email, candidate):
                device_hash = candidate
        return Attempt(merchant, email, message.address, device_hash)

    async def _history(self, attempt: Attempt, of_account: int, of_address: int) -> History:
        """`of_account` and `of_address` were under way before the database is asked, so that one
        that ends meanwhile is seen at least once."""
        now = self.system.clock.now()
        whose = (attempt.merchant, attempt.email_hash, now - ACCOUNT_WINDOW, WRONG)
        if attempt.device_hash is not None:
            rows = await self._database.fetch(FAILURES_OF_DEVICE, *whose, attempt.device_hash)
            return History([row[0] for row in rows], (), of_account, known_device=True)
        account = await self._database.fetch(FAILURES_OF_ACCOUNT, *whose)
        where = (attempt.address, now - ADDRESS_WINDOW, WRONG)
        address = await self._database.fetch(FAILURES_OF_ADDRESS, *where)
        of_both = [[row[0] for row in rows] for rows in (account, address)]
        return History(of_both[0], of_both[1], of_account, of_address)

    @contextmanager
    def _pending(self, attempt: Attempt) -> Iterator[tuple[int, int]]:
        """Counts as a failure for others as long as it is under way; how many there are before."""
        before = self._of_account[attempt.counted], self._of_address[attempt.address]
        self._of_account[attempt.counted] += 1
        self._of_address[attempt.address] += 1
        try:
            yield before
        finally:
            _less(self._of_account, attempt.counted)
            _less(self._of_address, attempt.address)

    async def _check_captcha(self, solution: str | None) -> Denial | None:
        """Whatever is away: nobody gets past it, and whoever should have been asked must wait."""
        if solution is None:
            return CAPTCHA_REQUIRED
        try:
            taken = await self.system.ref(CAPTCHA).ask(Redeem(solution))
        except ActorError as error:
            log.warning("captcha_away", error=str(error)[:200])
            return too_many(ACCOUNT_WINDOW.total_seconds())
        return None if taken else CAPTCHA_INVALID

    async def _check_password(self, attempt: Attempt, password: str) -> Grant | Denial:
        row = await self._database.fetch_row(SELECT_BY_EMAIL, attempt.merchant, attempt.email)
        known = credentials_of(row) if row is not None else None
        hash_ = known.password_hash if known is not None else None
        try:
            compared = await self.system.ref(HASHING).ask(
                ComparePassword(normalised(password), hash_)
            )
        except MailboxFull:
            return BUSY
        if known is None or not compared.right or known.account.disabled:
            await self._note(attempt, known, WRONG)
            return BAD_CREDENTIALS
        if await self._database.fetch_value(IS_SUSPENDED, attempt.merchant):
            await self._note(attempt, known, SUSPENDED.code)
            return SUSPENDED
        return await self._begin(attempt, known, compared, password)

    async def _note(self, attempt: Attempt, known: Credentials | None, outcome: str) -> None:
        await append(self.system, (self._record(attempt, known, outcome),))

    def _record(self, attempt: Attempt, known: Credentials | None, outcome: str) -> Write:
        account = known.account if known is not None else None
        noted = LoginAttempt(
            attempt_id=self.system.ids.new("login"),
            merchant_id=merchant_of(attempt.merchant),
            happened_at=self.system.clock.now(),
            account_id=account.account_id if account is not None else None,
            address=attempt.address,
            known_device=attempt.device_hash is not None,
            outcome=outcome,
        )
        return attempt_write(noted, attempt.email_hash, attempt.device_hash)

    async def _begin(
        self, attempt: Attempt, known: Credentials, compared: Compared, password: str
    ) -> Grant | Denial:
        account, now = known.account, self.system.clock.now()
        session_id, expires_at = self.system.ids.new("ses"), now + session_life(account.role)
        granted: Granted = await make_grant(
            self.system, self._database, account, session_id, expires_at
        )
        device, keeping = self._device(attempt, account, now)
        merchant, oldest = attempt.merchant, await self._too_old(account, now)
        session = (merchant, session_id, account.account_id, now, expires_at)
        ends = [session_end(merchant, each, MANY, now) for each in oldest]
        rehashed = await self._rehashed(known, password) if compared.rehash else ()
        entry: Entry = (
            Write(INSERT_SESSION, session),
            granted.write,
            keeping,
            self._record(attempt, known, SUCCESS),
            *(write for end in ends for write in end),
            *rehashed,
        )
        if await append(self.system, entry) is not None:
            return BAD_CREDENTIALS
        await spread(self.system, oldest, now + OUTLIVES)
        return attrs.evolve(granted.grant, device_token=device)

    def _device(
        self, attempt: Attempt, account: Account, now: datetime
    ) -> tuple[str | None, Write]:
        """The token of a device that is new, and that the device is known from now on."""
        device = None if attempt.device_hash else new_secret(self.system.secrets, DEVICE_PREFIX)
        hash_ = fingerprint(device) if device is not None else attempt.device_hash
        return device, Write(KEEP_DEVICE, (attempt.merchant, account.account_id, hash_, now))

    async def _too_old(self, account: Account, now: datetime) -> list[str]:
        """The sessions that have to end so that there is room for another."""
        rows = await self._database.fetch(
            OPEN_SESSIONS, kept_as(account.merchant_id), account.account_id, now
        )
        return [row[0] for row in rows][: max(0, len(rows) + 1 - SESSIONS_MAX)]

    async def _rehashed(self, known: Credentials, password: str) -> tuple[Write, ...]:
        """The hash made anew with the parameters of now, if there is time for it."""
        try:
            made = await self.system.ref(HASHING).ask(HashPassword(normalised(password)))
        except ActorError:
            return ()
        account = known.account
        row = (kept_as(account.merchant_id), account.account_id, known.password_hash, made)
        return (Write(REHASH, row),)


def _less(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
