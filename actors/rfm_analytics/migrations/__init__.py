"""The tables of runs, scores and segments."""
