"""The supervision trees: the application, built from the domains."""
