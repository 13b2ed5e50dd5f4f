"""The runtime's own tables."""
