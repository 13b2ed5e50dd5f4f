"""How a command says that it cannot go on, and how errors are looked through for the reason."""

from collections.abc import Iterator
from typing import TypeVar

EXIT_FAILED = 1
EXIT_USAGE = 2
MAX_CAUSES = 20


Cause = TypeVar("Cause", bound=BaseException)


class CommandFailed(Exception):
    """A command cannot go on, for a reason its user can understand and change."""

    def __init__(self, text: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def find_cause(error: BaseException, kind: type[Cause]) -> Cause | None:
    """The error of a kind among an error, its groups and its causes."""
    return next((e for e in causes(error) if isinstance(e, kind)), None)


def causes(error: BaseException, limit: int = MAX_CAUSES) -> Iterator[BaseException]:
    """The error and what led to it, the outermost first."""
    if limit == 0:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner, limit - 1)
    if error.__cause__ is not None:
        yield from causes(error.__cause__, limit - 1)
