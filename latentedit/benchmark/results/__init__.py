"""From finished cells to figures and comparisons."""
