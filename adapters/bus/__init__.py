"""ZeroMQ between processes: hints and copies, never the truth."""
