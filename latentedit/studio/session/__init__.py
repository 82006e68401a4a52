"""Edits of one face by several editors, without a page."""
