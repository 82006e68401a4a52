"""Where and in which process cells are computed."""
