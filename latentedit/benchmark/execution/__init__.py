"""Execution of cells: executors and processes."""
