"""The products domain: each merchant's catalogue."""
