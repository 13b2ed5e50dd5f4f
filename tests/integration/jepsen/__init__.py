"""Many clients against the real program on a real PostgreSQL that is killed, frozen and cut off."""
