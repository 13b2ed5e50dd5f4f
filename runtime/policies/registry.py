"""The registry of an application's pipelines: one for each dependency, declared once."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from runtime.policies.breaker import ForcedState, Transition
from runtime.policies.chaos import Injected
from runtime.policies.metrics import PolicyMetrics
from runtime.policies.pipeline import Pipeline, PipelineStatistics
from runtime.policies.spec import Admission, PipelineSpec


class Policies:
    """All pipelines by name, and the switches that an operator has."""

    def __init__(
        self,
        random: Random,
        metrics: PolicyMetrics | None = None,
        *,
        chaos_allowed: bool = False,
    ) -> None:
        self._random = random
        self._metrics = metrics if metrics is not None else PolicyMetrics()
        self._pipelines: dict[str, Pipeline] = {}
        self._subscribers: list[Callable[[Transition], object]] = []
        self.chaos_allowed = chaos_allowed

    def declare(
        self, name: str, spec: PipelineSpec, *, admissions: Sequence[Admission] = ()
    ) -> Pipeline:
        """Make the pipeline of a dependency. Raises `ValueError` for a name that has one."""
        if name in self._pipelines:
            raise ValueError(f"{name} has a pipeline already")
        pipeline = self._pipelines[name] = Pipeline(
            name,
            spec,
            self._random,
            self._metrics,
            admissions=admissions,
            chaos_allowed=self.chaos_allowed,
            on_transition=self._tell,
        )
        return pipeline

    def declare_all(self, specs: Mapping[str, PipelineSpec]) -> None:
        for name, spec in specs.items():
            self.declare(name, spec)

    def __getitem__(self, name: str) -> Pipeline:
        """The pipeline of a dependency. Raises `KeyError`."""
        return self._pipelines[name]

    def __contains__(self, name: str) -> bool:
        return name in self._pipelines

    def names(self) -> tuple[str, ...]:
        return tuple(self._pipelines)

    def force(self, name: str, state: ForcedState | None) -> None:
        """Hold a breaker in a state until None lifts it.

        Raises `KeyError`, and `ValueError` where the dependency has no breaker.
        """
        breaker = self[name].breaker
        if breaker is None:
            raise ValueError(f"{name} has no breaker")
        breaker.force(state)

    def chaos(self, name: str, spec: Injected) -> None:
        """Switch faults on or (None) off. Raises `KeyError` and `ChaosForbidden`."""
        self[name].chaos.switch(spec)

    def subscribe(self, subscriber: Callable[[Transition], object]) -> None:
        """Call `subscriber` with every transition of a breaker; it must not raise or wait."""
        self._subscribers.append(subscriber)

    def _tell(self, transition: Transition) -> None:
        for subscriber in self._subscribers:
            subscriber(transition)

    def statistics(self) -> tuple[PipelineStatistics, ...]:
        return tuple(pipeline.statistics() for pipeline in self._pipelines.values())
