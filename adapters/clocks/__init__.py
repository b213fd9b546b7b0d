"""Clocks that pace a feed."""
