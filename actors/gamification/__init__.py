"""Badges, achievements, streaks, leaderboards and engagement: what keeps members coming back."""
