"""`./just bench`: speed as ratios against a baseline in the same run, printed as a table and kept as JSON."""
