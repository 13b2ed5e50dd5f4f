"""The tables of broadcasts and deliveries."""
