"""Fold a tape into the read models, batch by batch: rows, checkpoint and fold state in one transaction.

Any batches give the same tables, rows seen before change nothing, and a new Projector goes on where the last stopped.
"""

from collections.abc import Mapping

import duckdb
import numpy as np

from kernel.codes import Kind
from kernel.errors import NotReplayable, TapeCorrupt
from kernel.state import LAYOUT
from projections.changes import add_changes
from projections.checkpoint import load_checkpoint, restore_fold, save_checkpoint
from projections.folding import fold_batch
from projections.names import RunConfig, instrument_rows, make_fold, read_config
from projections.orders import Orders
from projections.regimes import add_regimes
from projections.rows import add_rows, save_account, save_positions
from projections.settled import add_settled
from projections.tables import drop_tape, insert
from projections.trades import Trades
from projections.watch import WatchedFold

RUN_STARTED = int(Kind.RUN_STARTED)


class Projector:
    """The read models of one tape in `connection`, a database that `migrate` prepared. One writer at a time.

    Without `changes` the tables that as-of macros ask stay empty, at two thirds of the time.

    Feed it rows from `last_seq` + 1 on. Read models that another version of the kernel's tables made are dropped, and
    `last_seq` is then 0.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, tape: str, changes: bool = True) -> None:
        self.connection, self.tape, self._changes = connection, tape, changes
        self.checkpoint = load_checkpoint(connection, tape)
        if self.checkpoint.layout != LAYOUT:
            drop_tape(connection, tape)
        self._resume()

    def _resume(self) -> None:
        self.checkpoint = load_checkpoint(self.connection, self.tape)
        self._fold: WatchedFold | None = None
        if self.checkpoint.last_seq == 0:
            return
        found = self.connection.execute(
            "SELECT config FROM runs WHERE tape = ? ORDER BY seq DESC LIMIT 1", [self.tape]
        ).fetchone()
        run = read_config(found[0] if found else None)
        fold = make_fold(run)
        restore_fold(self.connection, self.tape, fold)
        self._use(run, fold)

    def _use(self, run: RunConfig, fold: WatchedFold) -> None:
        self._run, self._fold = run, fold
        fold.watching = self._changes
        self._orders = Orders(self.connection, self.tape, run)
        self._trades = Trades(self.connection, self.tape, run)

    @property
    def last_seq(self) -> int:
        """Rows up to here are in the read models."""
        return self.checkpoint.last_seq

    def apply(self, rows: np.ndarray, notes: Mapping[int, str]) -> int:
        """Fold EVENT rows with the notes of their seqs; returns how many were new.

        Raises TapeCorrupt when the tape does not begin with RUN_STARTED and its configuration, NotReplayable when a
        later run on it has other tables; nothing is saved then.
        """
        rows = rows[np.searchsorted(rows["seq"], self.last_seq, "right") :]
        if not len(rows):
            return 0
        if self._fold is None and rows["kind"][0] != RUN_STARTED:
            raise TapeCorrupt(f"{self.tape}: the first row (seq {rows['seq'][0]}) is not RUN_STARTED")
        self.connection.begin()
        try:
            for part in np.split(rows, np.flatnonzero(rows["kind"] == RUN_STARTED)):
                if len(part):
                    self._fold_part(part, notes)
            assert self._fold is not None
            after = self.checkpoint.after(rows)
            save_account(self.connection, self.tape, self._run, self._fold)
            save_checkpoint(self.connection, self.tape, after, self._fold)
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            self._resume()
            raise
        self.checkpoint = after
        return len(rows)

    def _fold_part(self, rows: np.ndarray, notes: Mapping[int, str]) -> None:
        """Fold rows of which only the first may be a RUN_STARTED."""
        if rows["kind"][0] == RUN_STARTED:
            self._begin_run(rows[:1], read_config(notes.get(int(rows["seq"][0]))))
        assert self._fold is not None
        folded = fold_batch(self._fold, rows)
        add_rows(self.connection, self.tape, self._run, folded, notes)
        add_settled(self.connection, self.tape, self._run, folded, notes)
        add_regimes(self.connection, self.tape, self._run, folded)
        if self._changes:
            add_changes(self.connection, self.tape, self._run, folded)
        self._orders.add(folded, notes)
        self._trades.add(folded)
        save_positions(self.connection, self.tape, self._run, self._fold, folded)

    def _begin_run(self, row: np.ndarray, run: RunConfig) -> None:
        if self._fold is None:
            self._use(run, make_fold(run))
        else:
            before = self._run
            if (run.strategies, run.symbols, run.config["capacity"]) != (
                before.strategies,
                before.symbols,
                before.config["capacity"],
            ):
                raise NotReplayable(
                    f"{self.tape}: the run that starts at seq {row['seq'][0]} has other strategies, instruments or "
                    "capacity than the one before it: give it an account of its own"
                )
            self._run = run
        config = run.config
        insert(
            self.connection,
            "runs",
            self.tape,
            {
                "seq": row["seq"],
                "ts": row["ts_event"],
                **{name: [config[name]] for name in ("mode", "currency", "timezone", "cash")},
                "strategies": [", ".join(run.strategies[1:])],
                "config": [run.text],
            },
        )
        listed = instrument_rows(run)
        self.connection.execute("DELETE FROM run_instruments WHERE tape = ?", [self.tape])
        names = listed[0] if listed else ()
        insert(self.connection, "run_instruments", self.tape, {name: [row[name] for row in listed] for name in names})
