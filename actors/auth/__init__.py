"""The auth domain: accounts, logins, sessions, API keys, and the keys that sign access tokens."""
