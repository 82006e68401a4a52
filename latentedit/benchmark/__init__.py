"""Suites of tasks, and runs that compare editors on them."""
