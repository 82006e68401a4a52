"""A live comparison of editors on one image."""
