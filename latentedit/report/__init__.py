"""Pages, pictures and tables of finished runs."""
