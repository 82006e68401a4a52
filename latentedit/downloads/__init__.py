"""Published networks in a local cache."""
