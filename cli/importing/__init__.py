"""Importing orders from a file: reading, sending, remembering how far it got."""
