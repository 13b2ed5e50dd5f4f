"""A mail server that answers everything with an error for ten minutes, behind its real policies."""

from collections import Counter
from random import Random
from typing import Any

import attrs
import pytest
import trio

from actors.campaign.delivery_model import ATTEMPTS_MAX
from actors.campaign.messages import SendChannel
from actors.outgoing.errors import MailServerFailed
from actors.outgoing.policies import SMTP
from actors.outgoing.ports import FailedForNow, Sent
from runtime.policies import Pipeline
from tests.unit.campaign.sending import FakeProvider, broadcast, world
from tests.virtual import run_virtually

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=run_virtually)]

OUTAGE_S = 600.0
RECIPIENTS = 200
UNTIL_OPEN = 20 + 20
"""What the breaker needs to see, and a step that was under way."""

PROBES_MAX = 3 * (4 + 10)
"""Three each time that it is half open: after 5, 10, 20 and 40 s, and then every minute, or a
tenth sooner."""


@attrs.define(eq=False)
class Guarded(FakeProvider):
    """Called as the mailer calls its server; `moments` are the calls that reach it."""

    pipeline: Pipeline = attrs.field(factory=lambda: Pipeline("smtp", SMTP, Random(1)))

    async def send(self, *arguments: Any) -> Sent:
        try:
            return await self.pipeline.call(lambda: self._ask(*arguments))
        except MailServerFailed as error:
            return error.result

    async def _ask(self, *arguments: Any) -> Sent:
        answer = await FakeProvider.send(self, *arguments)
        if isinstance(answer, FailedForNow):
            raise MailServerFailed(answer)
        return answer


async def test_only_probes_reach_it_nobody_is_given_up_and_texts_go_out_meanwhile() -> None:
    async with world() as here:
        here.mail = Guarded()
        here.mail.answering = lambda _key, _nth: FailedForNow("554", "out of order")
        async with here.process():
            members = await here.customers(RECIPIENTS)
            await here.start(members, broadcast(), "mail")
            await here.start(members, broadcast(SendChannel.SMS), "texts")
            began = trio.current_time()
            assert (await here.ends("texts", within_s=60)).sent == RECIPIENTS
            await trio.sleep(began + OUTAGE_S - trio.current_time())
            assert UNTIL_OPEN - 20 <= len(here.mail.moments) <= UNTIL_OPEN + PROBES_MAX
            tried = Counter(here.mail.asked.values())
            assert max(tried) <= ATTEMPTS_MAX
            here.mail.answering = None
            stats = await here.ends("mail", within_s=1_200)
            assert (stats.sent, stats.failed) == (RECIPIENTS, 0)
            assert {len(effects) for effects in here.mail.effects.values()} == {1}
