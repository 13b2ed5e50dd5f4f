"""Segments over real stores."""
