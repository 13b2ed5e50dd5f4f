"""What a supervisor can be asked, and how it answers."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import attrs

from runtime.child import ChildSpec, ChildState
from runtime.flags import SupervisorFlags
from runtime.message import Call
from runtime.ref import ActorRef


class AdminError(Enum):
    """Why a supervisor did not do what it was asked to.

    SIMPLE_ONE_FOR_ONE: that strategy does not have this, or not in this way.
    """

    ALREADY_PRESENT = "already_present"
    ALREADY_STARTED = "already_started"
    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"
    START_FAILED = "start_failed"
    INVALID_SPEC = "invalid_spec"


@attrs.frozen
class Refused:
    """The answer of a supervisor that did not do it, or not with success.

    `ref` is the child that is in the way (ALREADY_STARTED), `error` why a start failed.
    """

    why: AdminError
    detail: str = ""
    ref: ActorRef | None = None
    error: BaseException | None = attrs.field(default=None, eq=False)


@attrs.frozen
class Started:
    """The answer to a start. `ref` is None when the child said `IGNORE`, `info` is what its
    `started` returned as `StartInfo`."""

    ref: ActorRef | None
    info: object = None

    @property
    def ignored(self) -> bool:
        return self.ref is None


@attrs.frozen
class ChildStatus:
    """`restarts` counts the starts after the first one, `kind` is the actor's class, empty before
    there was one. `ref` is valid whether the child runs or not."""

    id: str
    state: ChildState
    address: str
    restarts: int
    kind: str
    is_supervisor: bool
    last_exit: str | None
    ref: ActorRef


@attrs.frozen
class ChildCounts:
    """`active` children run. A template counts as one specification."""

    specs: int
    active: int
    supervisors: int
    workers: int


@attrs.frozen
class WhichChildren(Call[tuple[ChildStatus, ...]]):
    """The children in the order of their start."""


@attrs.frozen
class CountChildren(Call[ChildCounts]):
    """How many there are."""


@attrs.frozen
class GetChildSpec(Call[ChildSpec | Refused]):
    """The specification of the child with this id, or of the one at a reference."""

    child: str | ActorRef


@attrs.frozen
class StartChild(Call[Started | Refused]):
    """Add a child and start it. SIMPLE_ONE_FOR_ONE takes `arguments` for its template, the other
    strategies take a `spec`."""

    spec: ChildSpec | None = None
    arguments: tuple[Any, ...] = ()


@attrs.frozen
class TerminateChild(Call[Refused | None]):
    """Stop a child and keep its specification, unless it is temporary.

    By id; under SIMPLE_ONE_FOR_ONE by reference, and then the child is forgotten.
    """

    child: str | ActorRef


@attrs.frozen
class RestartChild(Call[Started | Refused]):
    """Start a child that is down, as it was specified."""

    id: str


@attrs.frozen
class DeleteChild(Call[Refused | None]):
    """Forget a child that is down."""

    id: str


@attrs.frozen
class Reconfigure(Call[Refused | None]):
    """Take on other flags, children or another template, and start or stop nobody.

    What is None stays. `children` is the new list, in its order: running ones with the same id
    run on and follow the new specification from now on; new ones are down, to be started by
    `RestartChild`; those not in the list stay as they are, behind the others, until they are
    terminated and deleted. All or nothing: what is refused changes nothing. Restarts that were
    counted still count. Only until the supervisor itself is restarted.
    """

    flags: SupervisorFlags | None = None
    children: Sequence[ChildSpec] | None = None
    template: ChildSpec | None = None
