"""The event_tracking domain: what customers do, taken in without holding anybody up."""
