"""A process that has imported the program, and forks each one that the tests start from itself.

The imports are most of what a start costs, and the tests start the program hundreds of times. What
is forked is a process like any other: its own folder, environment, signals, output and end.
"""

import gc
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import attrs

ROOT: Final = Path(__file__).parents[1]
MESSAGE_BYTES: Final = 1 << 20
START_TIMEOUT_S: Final = 60.0


@attrs.frozen
class Order:
    """What to run: the arguments after the program's name, where, and in which environment.

    A `module` of the tests is run in the place of the program, as `python -m` would.
    """

    arguments: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    file_max_bytes: int | None = None
    module: str | None = None


class Forked:
    """A process that was forked, as `subprocess.Popen` would have it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stdout: IO[str] | None = None
        self._ended = threading.Event()
        self._code = 0

    def ended(self, code: int) -> None:
        self._code = code
        self._ended.set()

    def poll(self) -> int | None:
        return self._code if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Does nothing after the end: the id may be another process's by then."""
        if not self._ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The process to fork from, started with its first use. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forked: dict[int, Forked] = {}
        self._latest: Forked | None = None
        self._said = threading.Event()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote", str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        threading.Thread(target=self._listen, daemon=True).start()

    def fork(self, order: Order, stdout: int, stderr: int) -> Forked:
        """Start a process that writes to these descriptors."""
        with self._lock:
            self._said.clear()
            message = json.dumps(attrs.asdict(order)).encode()
            socket.send_fds(self._ours, [message], [stdout, stderr])
            if not self._said.wait(START_TIMEOUT_S) or self._latest is None:
                raise RuntimeError("the process to fork from is gone")
            return self._latest

    def close(self) -> None:
        """End it. What was forked is the business of whoever asked for it."""
        self._ours.shutdown(socket.SHUT_RDWR)
        self._process.wait(START_TIMEOUT_S)
        self._ours.close()

    def _listen(self) -> None:
        while message := self._ours.recv(MESSAGE_BYTES):
            told = json.loads(message)
            if "code" in told:
                self._forked.pop(told["pid"]).ended(told["code"])
            else:
                self._latest = self._forked[told["pid"]] = Forked(told["pid"])
                self._said.set()
        self._latest = None
        self._said.set()


class Forking:
    """What the process to fork from does."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._waking, self._wake = socket.socketpair()
        for each in (self._waking, self._wake):
            each.setblocking(False)

    def run(self) -> tuple[Order, list[int]] | None:
        """Until no more orders come; in a forked process, its order and where it writes to."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        with selectors.DefaultSelector() as selector:
            selector.register(self._orders, selectors.EVENT_READ)
            selector.register(self._waking, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._waking in ready:
                    self._reap()
                if self._orders in ready:
                    message, descriptors, *_ = socket.recv_fds(self._orders, MESSAGE_BYTES, 2)
                    if not message:
                        return None
                    pid = os.fork()
                    if not pid:
                        self._forget()
                        return Order(**json.loads(message)), descriptors
                    self._tell(pid=pid)
                    for descriptor in descriptors:
                        os.close(descriptor)

    def _reap(self) -> None:
        self._waking.recv(MESSAGE_BYTES)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._tell(pid=pid, code=os.waitstatus_to_exitcode(status))

    def _tell(self, **told: Any) -> None:
        self._orders.send(json.dumps(told).encode())

    def _forget(self) -> None:
        """In the forked process: nothing of this is left."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._orders, self._waking, self._wake):
            each.close()


def become(order: Order, descriptors: Sequence[int]) -> None:
    """Turn this process into the one that was ordered."""
    for number, descriptor in zip((1, 2), descriptors, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.environment)
    if order.file_max_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_max_bytes, hard))
    sys.argv = ["main.py", *order.arguments]


def main() -> None:
    import main as program  # noqa: PLC0415 - only this process has to import it
    from cli.commands import COMMANDS, Commands  # noqa: PLC0415

    commands = Commands("loyalnest")
    for name in COMMANDS:
        commands.get_command(None, name)  # type: ignore[arg-type] # it does not look at it
    gc.collect()
    gc.freeze()  # what is forked neither looks through all this again, nor copies it for that
    forking = Forking(socket.socket(fileno=int(sys.argv[1])))
    ordered = forking.run()
    if ordered is not None:
        become(*ordered)
        if (module := ordered[0].module) is not None:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            program.main()


if __name__ == "__main__":
    main()
