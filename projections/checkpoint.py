"""Where a tape's read models stand, and the kernel's tables there."""

import zlib
from dataclasses import dataclass, replace
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa

from kernel.codes import Kind
from kernel.fold import Fold
from kernel.state import LAYOUT, load_state, save_state
from projections.tables import insert

RUN_ENDED, EQUITY = int(Kind.RUN_ENDED), int(Kind.EQUITY)
COUNTED = {"bar_rows": int(Kind.BAR), "quote_rows": int(Kind.QUOTE), "trade_rows": int(Kind.TRADE)}


@dataclass(frozen=True)
class Checkpoint:
    """The columns of the table `checkpoint`."""

    last_seq: int = 0
    rows_folded: int = 0
    bar_rows: int = 0
    quote_rows: int = 0
    trade_rows: int = 0
    first_ts: int = 0
    last_ts: int = 0
    ended: bool = False
    layout: str = LAYOUT

    def after(self, rows: np.ndarray) -> Self:
        """The checkpoint once `rows` are folded in."""
        kinds = rows["kind"]
        counts = np.bincount(kinds, minlength=max(COUNTED.values()) + 1)
        ends = np.flatnonzero(kinds == RUN_ENDED)
        rest = kinds[ends[-1] + 1 :] if len(ends) else kinds
        return replace(
            self,
            last_seq=int(rows["seq"][-1]),
            rows_folded=self.rows_folded + len(rows),
            **{name: getattr(self, name) + int(counts[kind]) for name, kind in COUNTED.items()},
            first_ts=self.first_ts if self.rows_folded else int(rows["ts_init"][0]),
            last_ts=int(rows["ts_init"][-1]),
            ended=bool((len(ends) or self.ended) and (rest == EQUITY).all()),
        )


def load_checkpoint(connection: duckdb.DuckDBPyConnection, tape: str) -> Checkpoint:
    """The saved one, or that of a tape never seen."""
    names = ", ".join(Checkpoint.__dataclass_fields__)
    found = connection.execute(f"SELECT {names} FROM checkpoint WHERE tape = ?", [tape]).fetchone()
    return Checkpoint(*found) if found else Checkpoint()


def save_checkpoint(connection: duckdb.DuckDBPyConnection, tape: str, checkpoint: Checkpoint, fold: Fold) -> None:
    """Inside the caller's transaction."""
    connection.execute("DELETE FROM checkpoint WHERE tape = ?", [tape])
    insert(connection, "checkpoint", tape, {name: [value] for name, value in vars(checkpoint).items()})
    parts = {name: zlib.compress(data, 1) for name, data in save_state(fold.state).items()}
    connection.execute("DELETE FROM fold_state WHERE tape = ?", [tape])
    columns = {"part": pa.array(list(parts)), "bytes": pa.array(list(parts.values()), pa.binary())}
    insert(connection, "fold_state", tape, columns)


def restore_fold(connection: duckdb.DuckDBPyConnection, tape: str, fold: Fold) -> None:
    """Put the saved tables into `fold`; raises ValueError when their sizes differ."""
    found = connection.execute("SELECT part, bytes FROM fold_state WHERE tape = ?", [tape]).fetchall()
    load_state(fold.state, {part: zlib.decompress(data) for part, data in found})
