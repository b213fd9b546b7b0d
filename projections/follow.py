"""Keep the read models of many tapes level with their files: look, fold what is new, forget what is gone."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import duckdb
import numpy as np

from kernel.errors import OnetapeError
from kernel.schema import join_rows
from projections.projector import Projector
from projections.tables import drop_tape

BATCH_ROWS = 65_536  # frames are put together up to here: a transaction costs as much for one row
Batch = tuple[np.ndarray, dict[int, str]]
Then = Callable[[duckdb.DuckDBPyConnection, str, Path], None]


class Source(Protocol):
    """Where tapes are."""

    def tapes(self) -> Mapping[str, Path]:
        """Folders by the name the read models know them by."""

    def stamp(self, folder: Path) -> object:
        """A value that changes whenever the folder's files do."""

    def rows(self, folder: Path, from_seq: int) -> Iterator[Batch]:
        """(EVENT rows, notes) with seq >= from_seq that are durable."""


class Follower:
    """One pass a `refresh`. A tape that cannot be read or folded is left as it was, and `problems` says why.

    `then` is called with the connection, a tape's name and its folder once its new rows are folded in.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source, then: Then = lambda *_: None) -> None:
        self._connection, self._source, self._then = connection, source, then
        self._projectors: dict[str, Projector] = {}
        self._stamps: dict[str, object] = {}
        self._checked: set[str] = set()
        self.problems: dict[str, str] = {}

    def refresh(self) -> int:
        """Fold everything that is new; returns how many rows."""
        tapes = self._source.tapes()
        known = {name for (name,) in self._connection.execute("SELECT tape FROM checkpoint").fetchall()}
        for name in (known | self._stamps.keys()) - tapes.keys():
            self._forget(name)
        folded = 0
        for name, folder in tapes.items():
            folded += self._look(name, folder, lambda folder=folder: self._source.stamp(folder))
        return folded

    def follow(self, name: str, folder: Path) -> int:
        """Fold what is new of one tape that is known to have grown; returns how many rows."""
        return self._look(name, folder, lambda: None)

    def _look(self, name: str, folder: Path, stamp_of: Callable[[], object]) -> int:
        """`stamp_of` gives the tape's stamp, or None: then it is read in any case."""
        try:
            stamp = stamp_of()  # before reading: what comes meanwhile is for the next pass
            if stamp is not None and self._stamps.get(name) == stamp:
                return 0
            self._stamps[name] = stamp
            folded = self._follow(name, folder)
            self.problems.pop(name, None)
            return folded
        except (OnetapeError, OSError, ValueError, KeyError, AssertionError, duckdb.Error) as error:
            self.problems[name] = str(error) if isinstance(error, OnetapeError) else repr(error)
            self._projectors.pop(name, None)
            return 0

    def _follow(self, name: str, folder: Path) -> int:
        if name not in self._checked:
            self._forget_other(name, folder)
            self._checked.add(name)
        projector = self._projectors.get(name) or Projector(self._connection, name)
        self._projectors[name] = projector
        folded = 0
        for rows, notes in larger(self._source.rows(folder, projector.last_seq + 1)):
            folded += projector.apply(rows, notes)
        self._then(self._connection, name, folder)
        if projector.checkpoint.ended:  # its tables are given back; should it go on, they come from the checkpoint
            del self._projectors[name]
        return folded

    def _forget_other(self, name: str, folder: Path) -> None:
        """Drop the read models when the tape of this name begins otherwise: it was deleted and begun anew."""
        sql = "SELECT seq, ts, config FROM runs WHERE tape = ? ORDER BY seq"
        run = self._connection.execute(sql, [name]).fetchone()
        if run is None:
            return
        for rows, notes in self._source.rows(folder, 0):
            seq = int(rows["seq"][0])
            if run == (seq, int(rows["ts_event"][0]), notes.get(seq)):
                return
            break
        drop_tape(self._connection, name)

    def _forget(self, name: str) -> None:
        drop_tape(self._connection, name)
        self._checked.discard(name)
        self._projectors.pop(name, None)
        self._stamps.pop(name, None)
        self.problems.pop(name, None)


def larger(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same rows in batches of about BATCH_ROWS."""
    waiting: list[np.ndarray] = []
    texts: dict[int, str] = {}
    count = 0
    for rows, notes in batches:
        waiting.append(rows)
        texts |= notes
        count += len(rows)
        if count >= BATCH_ROWS:
            yield join_rows(waiting), texts
            waiting, texts, count = [], {}, 0
    if waiting:
        yield join_rows(waiting), texts
