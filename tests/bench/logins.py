"""What a new token costs the gateway, and what a flood of logins costs those who are in."""

import random
import time
from statistics import median, quantiles

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from actors.auth.hashing import Hashing
from actors.auth.messages import LOGINS, LogIn, Role
from actors.auth.tokens import Claims, sign_token
from gateway.signed_tokens import SignedToken
from runtime import ActorError
from tests.bench.harness import Figure, at_most, garbage_as_in_the_program, without_logs
from tests.trees import START
from tests.unit.auth.domain import KEY, MERCHANT, Domain, running_domain

TOKENS = 400
ROUNDS = 7
VERIFICATION_MAX_US = 150.0

FLOOD_PER_S = 200
CHECKS_PER_S = 400
PHASE_S = 3.0
SLOWDOWN_MAX = 1.2

PUBLIC: Ed25519PublicKey = KEY.private.public_key()


def logins() -> list[Figure]:
    """Token checks alone, and beside 200 logins a second, in turns."""
    with garbage_as_in_the_program(), without_logs():
        return trio.run(_measure)


def _token(number: int) -> str:
    claims = Claims(
        subject="acc_1",
        role=Role.OWNER,
        merchant_id=MERCHANT,
        customer_id=None,
        token_id=f"tok_{number}",
        session_id="ses_1",
    )
    return sign_token(KEY, claims, START, 900)


async def _measure() -> list[Figure]:
    tokens = [_token(number) for number in range(TOKENS)]
    costs_us = [_cost_us(tokens) for _ in range(ROUNDS)]
    async with running_domain(start_hashing=Hashing) as domain:
        alone, beside = [], []
        for _ in range(ROUNDS):
            alone.append(await _p99_ms(tokens))
            beside.append(await _flooded(domain, tokens))
    ratio = median(flooded / quiet for flooded, quiet in zip(beside, alone, strict=True))
    return [
        at_most("verify a token that is new", median(costs_us), "µs", VERIFICATION_MAX_US),
        Figure(
            f"token checks, p99, beside {FLOOD_PER_S} logins a second",
            median(beside),
            "ms",
            median(alone),
            ratio,
            f"<= {SLOWDOWN_MAX}",
            ratio <= SLOWDOWN_MAX,
        ),
    ]


def _cost_us(tokens: list[str]) -> float:
    """Of the processor, on average."""
    began = time.process_time()
    for token in tokens:
        SignedToken.read(token).claims(PUBLIC)
    return (time.process_time() - began) / len(tokens) * 1e6


async def _p99_ms(tokens: list[str]) -> float:
    """From when a check was due until it was done: the wait for the loop counts as well."""
    times, due = [], trio.current_time()
    for number in range(int(CHECKS_PER_S * PHASE_S)):
        due += 1 / CHECKS_PER_S
        await trio.sleep_until(due)
        SignedToken.read(tokens[number % len(tokens)]).claims(PUBLIC)
        times.append(trio.current_time() - due)
    return quantiles(times, n=100)[98] * 1000


async def _flooded(domain: Domain, tokens: list[str]) -> float:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_flood, domain)
        await trio.sleep(0.5)
        p99_ms = await _p99_ms(tokens)
        nursery.cancel_scope.cancel()
    return p99_ms


async def _flood(domain: Domain) -> None:
    due = trio.current_time()
    async with trio.open_nursery() as nursery:
        while True:
            due += 1 / FLOOD_PER_S
            await trio.sleep_until(due)
            nursery.start_soon(_guess, domain, random.getrandbits(60))


async def _guess(domain: Domain, number: int) -> None:
    login = LogIn(
        merchant_id=MERCHANT,
        email=f"{number}@flora.example",
        password="wrong",
        address=str(number),
    )
    try:
        await domain.system.ref(LOGINS).ask(login, timeout_s=10)
    except ActorError:
        return
