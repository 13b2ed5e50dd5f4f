"""The application under simulation: its scenarios, by domain and all together."""
