"""Requests that end in the middle: of what is sent, or of what is answered. Warnings are errors."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from actors.outgoing.http import ANSWER_MAX_BYTES, HttpClient
from runtime import host
from runtime.policies.deadline import time_limit

pytestmark = pytest.mark.trio(run=host.run)

MORE_THAN_SOCKETS_HOLD = bytes(32 * 1024 * 1024)
LONG = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * ANSWER_MAX_BYTES)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Whoever connects is sent `answer` whatever was asked, and nothing of that is read."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await stream.send_all(answer)
                await trio.sleep_forever()
            except trio.BrokenResourceError:
                pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
        nursery.cancel_scope.cancel()


async def test_a_request_cancelled_while_its_body_is_sent_leaves_nothing_behind() -> None:
    client = HttpClient("test")
    async with answering(b"") as url:
        with trio.move_on_after(0.1) as scope, time_limit("test", 5):
            await client.request("POST", url, headers={}, content=MORE_THAN_SOCKETS_HOLD)
        assert scope.cancelled_caught
        gc.collect()
        await trio.testing.wait_all_tasks_blocked()
        await client.close()


async def test_a_longer_answer_than_allowed_is_cut_off_and_leaves_nothing_behind() -> None:
    client = HttpClient("test")
    async with answering(LONG + bytes(2 * ANSWER_MAX_BYTES)) as url:
        with time_limit("test", 5):
            answer = await client.request("GET", url, headers={})
        assert (answer.status, len(answer.body)) == (200, ANSWER_MAX_BYTES)
        gc.collect()
        await trio.testing.wait_all_tasks_blocked()
        await client.close()
