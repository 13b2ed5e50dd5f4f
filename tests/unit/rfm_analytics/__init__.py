"""The domain of segments."""
