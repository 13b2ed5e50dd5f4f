"""`loyalnest demo`: one order and all that follows from it, played on a shop of its own."""
