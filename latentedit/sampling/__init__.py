"""How banks of codes come to be."""
