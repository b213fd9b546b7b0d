"""Read-model DDL, one numbered SQL file each; `projections.migrate` applies them."""
