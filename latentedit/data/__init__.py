"""Values that are passed around: attributes, banks, splits."""
