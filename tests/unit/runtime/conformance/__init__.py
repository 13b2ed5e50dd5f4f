"""Supervision against OTP, case by case; the names follow the cases of its documentation."""
