"""Referrals: members bring friends, and both are rewarded once the friend has ordered for good."""
