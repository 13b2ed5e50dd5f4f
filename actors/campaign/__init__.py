"""Campaigns: rules on what is earned, and messages to those who are to hear of something."""
