"""Creation of banks: sampling, importing and relabelling."""
