"""Strategies from names and files: find, check in plain words, compile, explain a fault."""
