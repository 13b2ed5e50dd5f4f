"""The tables of the points domain."""
