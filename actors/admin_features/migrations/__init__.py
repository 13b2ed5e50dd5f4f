"""The tables of the admin_features domain."""
