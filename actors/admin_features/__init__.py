"""The admin_features domain: typed flags, and what they are for whom."""
