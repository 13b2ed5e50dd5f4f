"""What every test may use: the real servers, and Trio on another loop for a whole module."""

import gc
import signal
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from runtime.policies import be_strict
from tests.binary import BinaryBuild, planned_build
from tests.dealing import BINARY_TESTS, SpreadScheduling, by_length, dealt
from tests.plain_log import log_plainly
from tests.scratch import keep_files_in_memory
from tests.servers import copy_from, postgres, redis_server
from tests.turns import import_tests

GARBAGE_THRESHOLDS = (50_000, 20, 20)
"""Those of the program. With the usual ones the collector takes a tenth of the suite's time."""

BINARY_FOLDER = "binary_folder"
BUILDS = pytest.StashKey[ExitStack]()
BUILD = pytest.StashKey[BinaryBuild]()

__all__ = ["postgres", "redis_server"]


@pytest.fixture(scope="session")
def binary_build(pytestconfig: pytest.Config) -> BinaryBuild:
    """Under way since the tests were collected."""
    return pytestconfig.stash[BUILD]


def pytest_configure(config: pytest.Config) -> None:
    """Take the folder to build in and to copy servers from, or with several workers hear which one
    it is.

    In tests, a call that goes out without a deadline raises `NoDeadline`, files are kept in
    memory, the collector comes as rarely as in the program, and Hypothesis draws the same examples
    in every run and does not mind how long they take.
    """
    log_plainly()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    be_strict(True)
    draw_the_same()
    keep_files_in_memory()
    hear_interrupts()
    inputs: dict[str, str] | None = getattr(config, "workerinput", None)
    if inputs is not None:
        config.stash[BUILD] = BinaryBuild(Path(inputs[BINARY_FOLDER]))
    else:
        builds = config.stash[BUILDS] = ExitStack()
        config.stash[BUILD] = builds.enter_context(planned_build())
    copy_from(config.stash[BUILD].folder)


def draw_the_same() -> None:
    slow = [HealthCheck.too_slow]
    settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=slow)
    settings.load_profile("same")


def hear_interrupts() -> None:
    """A shell starts what goes on in its background deaf to them, and so all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if BUILDS in config.stash:
        config.stash[BUILDS].close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    inputs: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if inputs is not None:
        folders = [path for path in map(Path, session.config.args) if path.is_dir()]
        worker = int(inputs["workerid"].removeprefix("gw"))
        import_tests((path.resolve() for path in folders), worker, inputs["workercount"])


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    _build_if_tested(session.config, (item.nodeid for item in session.items))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[BINARY_FOLDER] = str(node.config.stash[BUILD].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    _build_if_tested(node.config, ids)


def _build_if_tested(config: pytest.Config, ids: Iterable[str]) -> None:
    """The process that has the folder builds, once, and only when the binary is tested."""
    builds, build = config.stash.get(BUILDS, None), config.stash[BUILD]
    tested = any(f"{BINARY_TESTS}::" in name for name in ids)
    if builds is not None and tested and not build.begun:
        builds.enter_context(build.running())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let `pytest.mark.trio(run=...)` of a test, else of its module, win over `trio_mode`."""
    for item in items:
        module = item.getparent(pytest.Module)
        of_test = [mark for mark in item.own_markers if mark.name == "trio" and mark.kwargs]
        of_module = module.iter_markers("trio") if module is not None else ()
        for mark in of_test or of_module:
            item.add_marker(pytest.mark.trio(**mark.kwargs), append=False)
    items[:] = dealt(items) if hasattr(config, "workerinput") else by_length(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SpreadScheduling | None:
    return SpreadScheduling(config, log) if config.option.dist == "loadfile" else None
