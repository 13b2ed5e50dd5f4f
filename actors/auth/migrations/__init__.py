"""The tables of the auth domain."""
