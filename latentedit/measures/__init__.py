"""Metrics and statistics as pure functions."""
