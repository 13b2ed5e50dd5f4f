"""Tests of the points domain."""
