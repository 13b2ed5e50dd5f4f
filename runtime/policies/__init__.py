"""Resilience policies: small objects that stand alone, and what composes them."""
