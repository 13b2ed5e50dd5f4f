"""Providers that bring messages to people: their ports, and what stands behind them."""
