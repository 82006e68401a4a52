"""Training of the bundled networks and writing of pages. It runs in a checkout only."""

LICENCE = "Apache-2.0"
"""Of every network that is made here: the project's own."""
