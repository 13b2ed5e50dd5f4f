"""The tables of the gamification domain."""
