"""The server's database of read models, and where the tapes are that it follows."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb

from adapters.tape.reader import Tail, is_sealed, list_account_folders, list_run_folders, read_rows
from kernel.errors import ConfigError, NotFound
from projections.follow import Batch
from projections.migrate import migrate

log = logging.getLogger("onetape.serve")


class HomeTapes:
    """The tapes of a home: runs by their id, accounts as accounts/NAME."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def tapes(self) -> dict[str, Path]:
        runs = {folder.name: folder for folder in list_run_folders(self.home)}
        return runs | {f"accounts/{folder.name}": folder for folder in list_account_folders(self.home)}

    def stamp(self, folder: Path) -> object:
        about = [(entry.name, entry.stat()) for entry in sorted(folder.iterdir())]
        return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in about]

    def rows(self, folder: Path, from_seq: int) -> Iterator[Batch]:
        with suppress(NotFound):  # a folder whose first frame is still to come
            yield from read_rows(folder, from_seq)


class GrowingTapes(HomeTapes):
    """The same for one who reads on and on: where it stopped in a growing tape it goes on, without a walk to there."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._tails: dict[Path, Tail] = {}

    def rows(self, folder: Path, from_seq: int) -> Iterator[Batch]:
        if is_sealed(folder):
            yield from super().rows(folder, from_seq)
            return
        tail = self._tails.pop(folder, None)  # kept only once it came to an end
        if tail is None or tail.next_seq != from_seq:
            tail = Tail(folder, from_seq)
        with suppress(NotFound):
            yield from tail.poll()
            self._tails[folder] = tail


def open_database(path: Path) -> duckdb.DuckDBPyConnection:
    """The server's file, made or brought up to date; one that cannot be used is made anew. Raises ConfigError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path)
    except (duckdb.Error, ConfigError) as error:
        if "lock" in str(error).lower():
            raise ConfigError(f"{path} is in use: another `onetape serve` runs on this home") from None
        log.warning("%s: %s: made anew", path, error)
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    return _open(path)


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection
