"""The auth domain: signing keys and access tokens."""
