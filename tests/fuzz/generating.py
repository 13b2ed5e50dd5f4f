"""How much is generated, from which seed, and how a failure is played again."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any, Final

import attrs
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import DrawFn, SearchStrategy, booleans, composite, sampled_from
from schemathesis import Case
from schemathesis.core.failures import FailureGroup

from actors.vocabulary import ID_PATTERN

SEED: Final = int(os.environ.get("FUZZ_SEED", "1"))
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "8"))
"""Cases derived from the document for each operation; `make fuzz` takes a thousand."""

HALF: Final = ceil(EXAMPLES / 2)
"""So many of them fit the document, and as many do not."""

NOISE: Final = ceil(EXAMPLES / 5)
"""So many bodies, on top of that, are derived from nothing."""

FAILURES_SHOWN: Final = 5
KIND_CHARACTERS: Final = 120

IN_A_PATH: Final = re.compile(ID_PATTERN)

AnyCase = Case[Any]
Known = dict[str, list[str]]


@attrs.define
class Failures:
    """What was wrong, each kind once."""

    found: dict[str, BaseException] = attrs.field(factory=dict)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Go on after what fails in the block."""
        try:
            yield
        except (AssertionError, FailureGroup) as error:
            self.found.setdefault(_kind(error), error)

    def raise_them(self) -> None:
        """Fail with the first ones, and with what plays them again."""
        if self.found:
            errors = list(self.found.values())[:FAILURES_SHOWN]
            failure = BaseExceptionGroup(f"{len(self.found)} kinds of failure", errors)
            failure.add_note(f"again: FUZZ_SEED={SEED} FUZZ_EXAMPLES={EXAMPLES} make fuzz")
            raise failure


def _kind(error: BaseException) -> str:
    """What tells failures apart; the values of an assertion do not."""
    if isinstance(error, FailureGroup):
        return "; ".join(sorted({str(leaf)[:KIND_CHARACTERS] for leaf in error.exceptions}))
    return str(error).partition("\n")[0]


def for_each(strategy: SearchStrategy[Any], test: Callable[[Any], None], cases: int) -> None:
    """Run `test` with so many values and raise all that went wrong.

    A strategy that has nothing to give, as the wrong parameters of an operation that takes none,
    is fine.
    """
    failures = Failures()

    @seed(SEED)
    @settings(
        max_examples=cases,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(value: Any) -> None:
        with failures.noted():
            test(value)

    with suppress(Unsatisfiable):
        run()
    failures.raise_them()


def naming_what_exists(cases: SearchStrategy[AnyCase], known: Known) -> SearchStrategy[AnyCase]:
    """Generated cases, of which half name things that exist where they name something.

    They are those that are known now: what is learnt meanwhile would make the same choices mean
    something else.
    """
    return _naming(cases, {name: [*values] for name, values in known.items()})


@composite
def _naming(draw: DrawFn, cases: SearchStrategy[AnyCase], known: Known) -> AnyCase:
    """Whole numbers are sent without a point: a schema's `integer` has `25.0` in it, and every
    second case would end at that. Of what is known, only ids come into a path: a key of a
    job may be empty or have a slash.
    """
    case = draw(cases)
    values = known if draw(booleans()) else {}
    in_path = {name: list(filter(IN_A_PATH.fullmatch, texts)) for name, texts in values.items()}
    case.path_parameters = _picked(draw, in_path, case.path_parameters)
    for place in ("query", "body"):
        setattr(case, place, _picked(draw, values, getattr(case, place)))
    return case


def _picked(draw: DrawFn, known: Known, node: Any) -> Any:
    if isinstance(node, list):
        return [_picked(draw, known, item) for item in node]
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if not isinstance(node, dict):
        return node
    return {
        name: draw(sampled_from(known[name]))
        if known.get(name) and isinstance(value, str)
        else _picked(draw, known, value)
        for name, value in node.items()
    }
