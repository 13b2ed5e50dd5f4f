"""The tables of the admin_core domain."""
