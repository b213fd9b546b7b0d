"""The pure part: events in, events out. Imports the standard library, numpy and numba only."""
