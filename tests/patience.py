"""Redis with more time than the product allows it: for tests whose subject is not the time."""

from random import Random

import attrs

from runtime.cache.policies import DEPENDENCY, REDIS
from runtime.policies import Pipeline


def patient_pipeline(random: Random, limit_s: float) -> Pipeline:
    """The usual pipeline, whose calls and attempts may take `limit_s`."""
    spec = attrs.evolve(REDIS, deadline_s=limit_s, attempt_s=limit_s)
    return Pipeline(DEPENDENCY, spec, random)
