"""Fitting, editing and saving with any editor."""
