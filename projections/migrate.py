"""Bring a DuckDB file to the newest read models: numbered SQL files, each in one transaction, each applied once."""

import hashlib
from importlib import resources
from typing import NamedTuple

import duckdb

from kernel.errors import ConfigError


class Migration(NamedTuple):
    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def list_migrations() -> list[Migration]:
    """The files of `migrations/`, in order of their numbers."""
    files = (entry for entry in resources.files("migrations").iterdir() if entry.name.endswith(".sql"))
    found = [Migration(int(file.name.split("_")[0]), file.name, file.read_text("utf-8")) for file in files]
    return sorted(found)


def migrate(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Apply what is missing and return the names of that. Raises ConfigError when the file is from other migrations."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name VARCHAR NOT NULL, "
        "digest VARCHAR NOT NULL)"
    )
    applied: dict[int, str] = dict(connection.execute("SELECT number, digest FROM migration").fetchall())
    known = {migration.number: migration for migration in list_migrations()}
    for number, digest in applied.items():
        if number not in known or known[number].digest != digest:
            raise ConfigError(f"the read models were made by another version (migration {number}): delete their file")
    done = []
    for migration in known.values():
        if migration.number not in applied:
            _apply(connection, migration)
            done.append(migration.name)
    return done


def _apply(connection: duckdb.DuckDBPyConnection, migration: Migration) -> None:
    connection.begin()
    try:
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO migration VALUES (?, ?, ?)", [migration.number, migration.name, migration.digest]
        )
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
