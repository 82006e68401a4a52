"""How bundled networks and pages are made; run from a checkout, and not in the wheel."""
