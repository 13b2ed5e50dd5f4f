"""Segments of customers by recency, frequency and money."""
