"""Migrations of the referrals domain."""
