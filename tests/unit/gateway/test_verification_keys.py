"""Who waits while another one asks for the keys."""

from typing import Any

import attrs
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.auth.messages import VerificationKey
from gateway.verification_keys import VerificationKeys
from runtime import AskTimeout
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

PEM = (
    Ed25519PrivateKey.generate()
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
TIMEOUT_S = 1.0


@attrs.define
class Answering:
    """In the place of the domains. Answers nothing the first time, the keys afterwards."""

    keys: tuple[VerificationKey, ...] = (VerificationKey("known", PEM),)
    asked: int = 0

    async def ask(self, *_question: Any, timeout_s: float, **_options: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            await trio.sleep(timeout_s)
            raise AskTimeout("auth.keys", None, "no answer in time")
        await trio.lowlevel.checkpoint()
        return self.keys


async def fail(keys: VerificationKeys) -> None:
    with pytest.raises(AskTimeout):
        await keys.get("known")


async def give_up(keys: VerificationKeys) -> None:
    with trio.move_on_after(TIMEOUT_S / 2):
        await keys.get("known")


@pytest.mark.parametrize("first", [fail, give_up])
async def test_a_key_that_another_one_asked_for_in_vain_is_asked_for_again(first: Any) -> None:
    """A good token is no foreign one because the request before it had no time."""
    answering: Any = Answering()
    keys = VerificationKeys(answering, TIMEOUT_S)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first, keys)
        await trio.testing.wait_all_tasks_blocked()
        assert await keys.get("known") is not None
    assert answering.asked == 2


async def test_those_who_came_before_it_was_asked_share_an_answer() -> None:
    answering: Any = Answering(asked=1)
    keys = VerificationKeys(answering, TIMEOUT_S)
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(keys.get, f"stranger-{number}")
    assert answering.asked == 2
