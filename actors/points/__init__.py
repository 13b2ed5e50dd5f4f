"""The points domain: the ledger."""
