"""A supervisor's flags, and the rules for what a supervisor takes."""

from collections.abc import Iterable
from enum import Enum
from math import isfinite, isnan

import attrs

from runtime.child import Backoff, ChildSpec, ChildType, Restart
from runtime.errors import InvalidSpec
from runtime.mailbox import MailboxSpec


class Strategy(Enum):
    """Who is restarted when a child ends: it alone, all children, or it and those after it.

    SIMPLE_ONE_FOR_ONE: like one_for_one, for any number of children made from one template.
    """

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"


class AutoShutdown(Enum):
    """When a supervisor ends by itself: never, or when one or the last significant child ended.

    Only an end that the child came to itself counts, and only one without a restart.
    """

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


@attrs.frozen
class SupervisorFlags:
    """More than `intensity` restarts within `period_s` end the supervisor."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    backoff: Backoff | None = None

    @property
    def simple(self) -> bool:
        return self.strategy is Strategy.SIMPLE_ONE_FOR_ONE


def check_flags(flags: SupervisorFlags) -> None:
    """Raise `InvalidSpec` when no supervisor could work by these flags."""
    _require(isinstance(flags, SupervisorFlags), "{!r:.200} are no flags", flags)
    _require(isinstance(flags.strategy, Strategy), "no strategy: {!r:.200}", flags.strategy)
    intensity, period_s = flags.intensity, flags.period_s
    counts = isinstance(intensity, int) and not isinstance(intensity, bool) and intensity >= 0
    _require(counts, "intensity must be a number of restarts, 0 or more: {!r:.200}", intensity)
    _require(
        _is_number(period_s) and isfinite(period_s) and period_s > 0,
        "period_s must be more than 0: {!r:.200}",
        period_s,
    )
    known = isinstance(flags.auto_shutdown, AutoShutdown)
    _require(known, "no automatic shutdown: {!r:.200}", flags.auto_shutdown)
    fits = not flags.simple or flags.auto_shutdown is AutoShutdown.NEVER
    _require(fits, "simple_one_for_one has no automatic shutdown")
    if flags.backoff is not None:
        _check_backoff(flags.backoff)


def check_children(
    children: Iterable[ChildSpec],
    auto_shutdown: AutoShutdown | None = None,
) -> None:
    """Raise `InvalidSpec` when no supervisor would take these children.

    With `auto_shutdown`, also when one that shuts down like that would not.
    """
    known = auto_shutdown is None or isinstance(auto_shutdown, AutoShutdown)
    _require(known, "no automatic shutdown: {!r:.200}", auto_shutdown)
    ids: set[str] = set()
    for spec in listed(children):
        _check_child(spec)
        _require(spec.id not in ids, "children with the same id: {:.200}", spec.id)
        ids.add(spec.id)
        if spec.significant:
            _require(
                spec.restart is not Restart.PERMANENT,
                "{}: a permanent child cannot be significant",
                spec.id,
            )
            _require(
                auto_shutdown is not AutoShutdown.NEVER,
                "{}: significant, but the supervisor never shuts down by itself",
                spec.id,
            )


def listed(children: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    """All of them, read once. Raises `InvalidSpec` for what cannot be read one by one."""
    _require(isinstance(children, Iterable), "no children: {!r:.200}", children)
    return tuple(children)


def check_template(template: ChildSpec | None, flags: SupervisorFlags) -> None:
    """Raise `InvalidSpec` unless there is a template exactly where one belongs."""
    _require(
        flags.simple == (template is not None),
        "a template belongs to simple_one_for_one, and only to it",
    )
    if template is not None:
        check_children((template,), flags.auto_shutdown)


def _check_child(spec: ChildSpec) -> None:
    _require(isinstance(spec, ChildSpec), "{!r:.200} is no child specification", spec)
    _require(isinstance(spec.id, str) and spec.id != "", "no id: {!r:.200}", spec.id)
    rules = (
        (callable(spec.start), "start is not callable"),
        (isinstance(spec.restart, Restart), "no restart type"),
        (spec.type is None or isinstance(spec.type, ChildType), "no child type"),
        (_is_number(spec.shutdown_s) and spec.shutdown_s >= 0, "shutdown_s must be 0 or more"),
        (
            _is_number(spec.start_timeout_s) and spec.start_timeout_s > 0,
            "start_timeout_s must be more than 0",
        ),
        (isinstance(spec.mailbox, MailboxSpec), "no mailbox specification"),
        (spec.name is None or isinstance(spec.name, str), "name is not a text"),
        (isinstance(spec.significant, bool), "significant is neither true nor false"),
    )
    for holds, rule in rules:
        _require(holds, "{}: {}", spec.id, rule)


def _check_backoff(backoff: Backoff) -> None:
    _require(isinstance(backoff, Backoff), "no backoff: {!r:.200}", backoff)
    waits = (backoff.initial_s, backoff.max_s)
    _require(
        all(_is_number(wait) and isfinite(wait) and wait >= 0 for wait in waits),
        "a backoff waits for 0 seconds or more",
    )
    _require(
        _is_number(backoff.jitter) and 0 <= backoff.jitter <= 1,
        "the jitter of a backoff is a share of the wait",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value)


def _require(holds: bool, rule: str, *values: object) -> None:
    """`rule` says in braces where the values go, which are described only where it is broken."""
    if not holds:
        raise InvalidSpec(rule.format(*values))
