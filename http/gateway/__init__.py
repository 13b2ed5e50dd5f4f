"""The HTTP gateway: listener, application, routes. It reaches domains through references only."""
