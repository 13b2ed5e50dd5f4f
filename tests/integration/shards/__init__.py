"""Shards as real processes: what keeps them, and what the end of one does to the others."""
