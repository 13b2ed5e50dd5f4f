"""Passwords: how they are hashed, in which threads, and which of them are refused."""

import time
from statistics import median

import pytest
import trio

from actors.auth.hashing import (
    DECOY_BYTES,
    MEMORY_KIB,
    SALT_BYTES,
    Argon2Hasher,
    Hasher,
    Hashing,
    HashingThreads,
)
from actors.auth.inside import HASHING, ComparePassword
from actors.auth.passwords import check_password
from runtime import MailboxFull, ask_all
from supervisors.simulation.hashing import QuickHasher
from tests.unit.auth.domain import EMAIL, PASSWORD, CheapHasher, running_domain

SALT = bytes(range(SALT_BYTES))
WRONG = "invalid_credentials"

# One contract


@pytest.mark.parametrize("hasher", [Argon2Hasher(), CheapHasher(), QuickHasher()])
def test_a_hasher_knows_the_password_again_and_takes_a_decoy_for_nobodys(hasher: Hasher) -> None:
    hash_ = hasher.hash(PASSWORD, SALT)
    assert PASSWORD not in hash_
    assert hasher.compare(PASSWORD, hash_).right
    assert not hasher.compare(PASSWORD, hash_).rehash
    assert not hasher.compare(PASSWORD + "!", hash_).right
    assert hasher.hash(PASSWORD, bytes(SALT_BYTES)) != hash_
    assert not hasher.compare(PASSWORD, hasher.decoy(bytes(DECOY_BYTES))).right


def test_argon2_has_46_mebibytes_and_knows_hashes_of_older_parameters() -> None:
    hasher = Argon2Hasher()
    hash_ = hasher.hash(PASSWORD, SALT)
    assert hash_.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t=1,p=1$")
    assert MEMORY_KIB >= 46 * 1024
    older = "$argon2id$v=19$m=8,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$"
    assert not hasher.compare(PASSWORD, older + "A" * 43).right
    assert not hasher.compare(PASSWORD, "").right


# Threads


class Watched:
    """Counts how many hash at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def hash(self, password: str, salt: bytes) -> str:
        return password

    def compare(self, password: str, hash_: str) -> object:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.005)
        self.now -= 1
        return CheapHasher().compare(password, CheapHasher().decoy(bytes(DECOY_BYTES)))

    def decoy(self, noise: bytes) -> str:
        return ""


async def test_a_flood_hashes_no_more_at_once_than_there_are_threads_and_is_turned_away() -> None:
    watched = Watched()

    def start() -> Hashing:
        return Hashing(watched, HashingThreads)  # type: ignore[arg-type]

    async with running_domain(start_hashing=start) as domain:
        outcomes: list[str] = []

        async def log_in(number: int) -> None:
            email, address = f"u{number}@flora.example", f"192.0.2.{number}"
            outcomes.append(await domain.denied(email=email, address=address))

        async with trio.open_nursery() as nursery:
            for number in range(120):
                nursery.start_soon(log_in, number)
        assert set(outcomes) == {"invalid_credentials", "logins_busy"}
        assert 1 <= watched.most <= Hashing.concurrency


async def test_who_gives_up_leaves_the_thread_to_its_work_and_the_permit_with_it() -> None:
    watched = Watched()

    def start() -> Hashing:
        return Hashing(watched, HashingThreads)  # type: ignore[arg-type]

    async with running_domain(start_hashing=start) as domain:
        hashing = domain.system.ref(HASHING)
        for _ in range(10):
            with trio.move_on_after(0.001):
                await hashing.ask(ComparePassword("x", None))
        answers = await ask_all([(hashing, ComparePassword("x", None))] * 200)
        assert any(isinstance(answer, MailboxFull) for answer in answers)
        assert watched.most <= Hashing.concurrency


def test_a_decoy_is_compared_with_the_parameters_of_a_hash() -> None:
    hasher = Argon2Hasher()
    hash_, decoy = hasher.hash(PASSWORD, SALT), hasher.decoy(bytes(range(DECOY_BYTES)))
    parameters, salt, digest = hash_.rsplit("$", 2)
    assert decoy.rsplit("$", 2)[0] == parameters
    assert [len(part) for part in decoy.rsplit("$", 2)[1:]] == [len(salt), len(digest)]


@pytest.mark.slow
async def test_an_unknown_account_takes_the_time_of_a_wrong_password() -> None:
    """Of processor time, in pairs: others use the machine as well, and slow down both of a pair.
    Looked at after every eight pairs, since few of them say little about a median."""
    async with running_domain(start_hashing=Hashing) as domain:
        for number in range(4):
            await domain.create(email=f"known-{number}@flora.example")

        async def spent(kind: str, number: int) -> float:
            began = time.process_time()
            email = f"{kind}-{number}@flora.example"
            assert await domain.denied(email=email, address=f"{kind}-{number}") == WRONG
            return time.process_time() - began

        ratios: list[float] = []
        for _ in range(24):
            for number in range(4):
                known = await spent("known", number)
                ratios.append(await spent("nobody", number) / known)
                unknown = await spent("nobody", number)
                ratios.append(unknown / await spent("known", number))
            if abs(median(ratios) - 1) <= 0.05:
                break
            await domain.database.execute(
                "DELETE FROM login_attempts WHERE merchant_id = $1", "flora"
            )
        assert abs(median(ratios) - 1) <= 0.05


# Rules


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_length"),
        ("x" * 257, "password_length"),
        ("password", "password_common"),
        ("Passw0rd!", "password_common"),
        ("P4ssword2024", "password_common"),
        ("12345678", "password_common"),
        ("QwertyUiop", "password_common"),
        ("aaaaaaaaab", "password_common"),
        ("!!letmein99", "password_common"),
        (EMAIL, "password_personal"),
        ("Loyalnest2026", "password_personal"),
        (PASSWORD, None),
        ("x" * 30 + "yzüß" * 20, None),
        ("Zwölf Boxkämpfer", None),
    ],
)
def test_passwords_are_long_and_not_the_ones_tried_first(password: str, code: str | None) -> None:
    refusal = check_password(password, EMAIL)
    assert (refusal.code if refusal is not None else None) == code
