"""The campaign domain's tables."""
