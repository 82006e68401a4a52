"""How bundled networks and pages are made; run from a checkout, and not in the wheel."""

LICENCE = "Apache-2.0"
"""Of every network that is made here: the project's own."""
