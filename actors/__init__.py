"""The loyalty domains, one package each. Between domains only messages pass."""
