"""From photographs to codes."""
