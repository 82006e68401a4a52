"""Comparison of editors: suites, their cells, and the results."""
