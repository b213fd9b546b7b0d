"""Recorded market data: import, generate, verify and read market tapes."""
