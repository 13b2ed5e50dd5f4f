"""The service: processes that are kept running, as an operating system or Kubernetes would."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio

from runtime.child import ChildSpec
from runtime.context import request_context
from runtime.errors import ActorError
from runtime.parking import monotonic
from runtime.sim.faults import Event, Trouble
from runtime.sim.kernel import raise_unsimulated
from runtime.sim.life import MAIN, Life
from runtime.sim.network import EVERYBODY
from runtime.sim.system import SimulatedSystem
from runtime.sim.world import World
from runtime.storage import StorageError

Answer = TypeVar("Answer")

START_AGAIN_S = 1.0
"""How long a process that ended by itself stays down."""

REQUEST_TIMEOUT_S = 3.0
"""How long a client waits for its answer, and the program works on it."""

NETWORK_S = (0.0005, 0.01)
SLOW_NETWORK_S = (0.1, 4.0)
STOP_TIMEOUT_S = 120.0

Tree = Callable[[Life], ChildSpec]
"""The root of what a process runs. Everything outside reaches it through its `Life`."""


class NoAnswer(Exception):
    """The client does not know: its request was refused, lost, or is still worked on."""


class Service:
    """A program, or one shard of it, that runs on the world: in one process or, while one takes
    over, in two.

    A process that crashes or gives up is started again.
    """

    def __init__(self, world: World, tree: Tree, shard: str = MAIN) -> None:
        self.world = world
        self.shard = shard
        self.lives: list[Life] = []
        self._tree = tree
        self._stopping = False
        self._changed = trio.Event()
        self._random = world.network.random

    # Processes

    def start(self) -> None:
        """Start a process, beside those that run."""
        life = self.world.new_life(self.shard)
        self.lives.append(life)
        self.world.nursery.start_soon(self._keep, life, name=life.name)

    async def up(self) -> SimulatedSystem:
        """The system of the newest process, once it serves."""
        while True:
            for life in reversed(self.lives):
                if life.serving:
                    return life.system
            await self._changed.wait()

    def replace(self) -> None:
        """Start a process that takes over, and stop all others in order."""
        others = tuple(self.lives)
        self.start()
        for life in others:
            life.over.set()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def stop(self) -> None:
        """Stop in order. What does not end is a finding."""
        self._stopping = True
        for life in tuple(self.lives):
            life.over.set()
            with trio.move_on_after(STOP_TIMEOUT_S) as scope:
                await life.gone.wait()
            if scope.cancelled_caught:
                self.world.findings.add("leaked task", f"{life.name} does not end")
                life.crash(0.0)

    def crash(self) -> None:
        """End all processes at once, for good."""
        self._stopping = True
        for life in tuple(self.lives):
            life.crash(0.0)

    async def _keep(self, life: Life) -> None:
        """Run a process, and the one that comes after it."""
        self.world.trace.note("process", life.name, "starts")
        try:
            await self._live(life)
        finally:
            life.over.set()
            life.gone.set()
            self.lives.remove(life)
            self._change()
        self.world.trace.note("process", life.name, "ended")
        if life.crashed:
            self.world.disk.released(life)
            self.world.spill.released(life)
        if not self._stopping and not self.lives:
            await trio.sleep(life.down_s or START_AGAIN_S)
            if not self._stopping and not self.lives:
                self.start()

    async def _live(self, life: Life) -> None:
        root = self._tree(life)
        life.root = root.name if root.name is not None else root.id
        with life.scope:
            async with trio.open_nursery() as life.requests:
                await self._run_tree(life, root)
                life.requests.cancel_scope.cancel()

    async def _run_tree(self, life: Life, root: ChildSpec) -> None:
        """Until it is over, or ends by itself."""
        try:
            async with life.system.run(root):
                life.up.set()
                self._change()
                await life.over.wait()
        except Exception as error:
            raise_unsimulated(error)
            if not life.crashed:
                self.world.trace.note("process", life.name, type(error).__name__)

    # Clients

    async def request(self, send: Callable[[SimulatedSystem], Awaitable[Answer]]) -> Answer:
        """One request of a client, over the network, to a process that serves.

        `send` asks the system there. Raises `NoAnswer` after `REQUEST_TIMEOUT_S` at the latest,
        or at once when the program says that it cannot answer.
        """
        answers: list[Answer | Exception] = []
        arrived = trio.Event()
        luck = self.world.network

        async def serve(life: Life) -> None:
            answer = await self._serve(life, send)
            await luck.takes(*NETWORK_S)
            if not self.world.cut_off and not luck.happens("answer_lost"):
                answers.append(answer)
                arrived.set()

        with trio.move_on_after(REQUEST_TIMEOUT_S):
            life = await self._reached()
            if life is not None:
                for _ in range(2 if luck.happens("request_twice") else 1):
                    life.receive(partial(serve, life))
            await arrived.wait()
        if not answers:
            raise NoAnswer
        if isinstance(answers[0], Exception):
            raise NoAnswer from answers[0]
        return answers[0]

    async def _reached(self) -> Life | None:
        """The process that a request gets to, if it gets anywhere."""
        luck = self.world.network
        await luck.takes(*(SLOW_NETWORK_S if luck.happens("request_slow") else NETWORK_S))
        serving = [life for life in self.lives if life.serving]
        if not serving or self.world.cut_off:
            return None
        return None if luck.happens("request_lost") else self._random.choice(serving)

    async def _serve(
        self, life: Life, send: Callable[[SimulatedSystem], Awaitable[Answer]]
    ) -> Answer | Exception:
        """As a gateway would: with a deadline, and a refusal in place of an error."""
        try:
            with request_context(deadline=monotonic() + REQUEST_TIMEOUT_S):
                return await send(life.system)
        except (ActorError, StorageError) as error:
            return error

    # Faults

    async def suffer(self, event: Event) -> None:
        """Trouble of a process: of the newest one."""
        life = self.lives[-1] if self.lives else None
        if life is None or not life.serving:
            return
        match event.trouble:
            case Trouble.KILL:
                life.system.ref(event.target).kill()
            case Trouble.CRASH:
                life.crash(event.duration_s)
            case Trouble.CRASH_AT_COMMIT:
                life.crash_at_commit, life.down_s = event.amount, event.duration_s
            case Trouble.TAKEOVER:
                await self._take_over(life, event.duration_s)

    async def _take_over(self, old: Life, goes_on_s: float) -> None:
        """A new process on the same store. The old one reaches neither the store nor other shards
        for a while, half of the time, and ends after `goes_on_s`."""
        old.replaced, old.cut_off = True, self._random.random() < 0.5
        links = self.world.links
        if old.cut_off:
            links.partition(old.name, EVERYBODY)
        self.start()
        await trio.sleep(goes_on_s / 2)
        old.cut_off = False
        links.join(old.name, EVERYBODY)
        await trio.sleep(goes_on_s / 2)
        old.over.set()

    def heal(self) -> None:
        """Nothing goes wrong with its processes any more; those that were replaced end."""
        for life in self.lives:
            life.cut_off = False
            life.crash_at_commit = 0.0
            if life.replaced:
                life.over.set()
