"""`loyalnest ctl`: looks at a running server and switches things in it."""
