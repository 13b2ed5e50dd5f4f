"""Sets of metrics in their registries."""

import gc
import weakref

from prometheus_client import CollectorRegistry

from runtime.registries import in_registry


class Things:
    """Leads back to its registry, as what a gauge asks does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry


def test_a_registry_has_one_set_of_a_kind() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    assert in_registry(one, Things) is in_registry(one, Things)
    assert in_registry(one, Things) is not in_registry(other, Things)


def test_sets_go_with_their_registry() -> None:
    registry = CollectorRegistry()
    gone = weakref.ref(in_registry(registry, Things))
    del registry
    gc.collect()
    assert gone() is None
