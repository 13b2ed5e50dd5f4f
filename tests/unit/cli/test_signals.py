"""What counts as a second signal, which ends the program at once."""

import os
import signal
import sys

import pytest

from cli.signals import StopSignals


class EndedAtOnce(Exception):
    """In the place of the end of this process."""


def end() -> None:
    raise EndedAtOnce


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_what_comes_twice_as_the_one_file_program_is_two_processes_is_one_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    signals = StopSignals(by_force=end)
    with signals.installed():
        send(signal.SIGINT)
        send(signal.SIGINT)
        assert signals.received == signal.SIGINT
        with pytest.raises(EndedAtOnce):
            send(signal.SIGTERM)


def test_everywhere_else_the_second_one_ends_the_program() -> None:
    signals = StopSignals(by_force=end)
    with signals.installed():
        send(signal.SIGINT)
        with pytest.raises(EndedAtOnce):
            send(signal.SIGINT)
