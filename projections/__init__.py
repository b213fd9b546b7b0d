"""Read models: folds of a tape into DuckDB, each with a checkpoint, disposable and rebuilt any day."""
