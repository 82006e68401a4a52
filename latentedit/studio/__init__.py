"""A live comparison of editors on one face."""
