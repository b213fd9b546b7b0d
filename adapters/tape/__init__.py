"""The tape on disk: framed Arrow batches while it grows, Parquet once it is sealed."""
