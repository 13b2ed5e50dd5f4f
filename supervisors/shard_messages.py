"""What shards say to each other about themselves."""

from collections.abc import Mapping

import attrs

from runtime import Call, Cast


@attrs.frozen
class GetConditions(Call[Mapping[str, str]]):
    """To `conditions_name(shard)`: the condition of each domain there, a word for each."""


@attrs.frozen
class Changed(Cast):
    """To `changes_name(shard)`: these may have changed (`runtime.changes`). A hint that may be
    lost; `names` are tuples of texts."""

    names: tuple[tuple[str, ...], ...]


def conditions_name(shard: str) -> str:
    """Who tells how the domains of a shard are."""
    return f"shard.{shard}.conditions"


def changes_name(shard: str) -> str:
    """Who tells those in a shard of changes that happened elsewhere."""
    return f"shard.{shard}.changes"
