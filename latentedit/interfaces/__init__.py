"""Interfaces that plugins implement."""
