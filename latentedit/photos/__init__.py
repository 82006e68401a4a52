"""Inversion of photographs to codes."""
