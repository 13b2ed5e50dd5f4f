"""A server that is attacked: afterwards it is as it was before."""
