"""The tables of the core domain."""
