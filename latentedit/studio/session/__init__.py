"""Edits of one image by several editors, without a page."""
