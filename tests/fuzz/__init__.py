"""Random requests to the real server, held against its own document."""
