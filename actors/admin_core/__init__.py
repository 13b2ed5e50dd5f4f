"""The admin_core domain: the audit log of what operators did."""
