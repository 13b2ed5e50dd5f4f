"""Bugs that are planted into the program from here, to see that simulations find them."""
