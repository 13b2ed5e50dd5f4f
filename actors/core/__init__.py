"""The core domain: merchants, customers, orders."""
