"""A plugin's module that cannot be imported."""

raise RuntimeError("half of me is missing")
