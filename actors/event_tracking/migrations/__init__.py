"""The tables of the products domain."""
