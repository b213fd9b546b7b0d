"""Last prices that a tape's rows do not have: what they make of its open positions and of the cash these hold."""

from collections.abc import Mapping

import duckdb
import numpy as np

from kernel.codes import Kind
from kernel.fold import Fold
from kernel.schema import events
from projections.checkpoint import restore_fold
from projections.names import RunConfig, make_fold, read_config

OPEN = "SELECT DISTINCT symbol FROM positions WHERE tape = ? AND qty <> 0"
MARK = "UPDATE positions SET mark = ? WHERE tape = ? AND symbol = ? AND qty <> 0"
HOLD = "UPDATE balances SET hold = ? WHERE tape = ? AND currency = ?"
SHORT_HOLD = "UPDATE accounts SET short_hold = ? WHERE tape = ?"


def value_at(connection: duckdb.DuckDBPyConnection, tape: str, marks: Mapping[str, int]) -> None:
    """Value what is open at the end of `tape` at `marks`, by symbol in price units, of which 0 says nothing.

    The bars of a backtest, and so its marks, are on no tape of its own: without this, collateral is at cost.
    """
    known = [symbol for (symbol,) in connection.execute(OPEN, [tape]).fetchall() if marks.get(symbol, 0) > 0]
    if not known:
        return
    sql = "SELECT config FROM runs WHERE tape = ? ORDER BY seq DESC LIMIT 1"
    [(text,)] = connection.execute(sql, [tape]).fetchall()
    run = read_config(text)
    fold = make_fold(run)
    fold.watching = False
    restore_fold(connection, tape, fold)
    fold.add(_bars_at(fold, run, {symbol: marks[symbol] for symbol in known}))
    connection.executemany(MARK, [[marks[symbol], tape, symbol] for symbol in known])
    holds = fold.state.purses["hold"].tolist()
    connection.execute(SHORT_HOLD, [holds[0], tape])
    connection.executemany(HOLD, [[hold, tape, name] for hold, name in zip(holds, run.currencies, strict=False)])


def _bars_at(fold: Fold, run: RunConfig, marks: Mapping[str, int]) -> np.ndarray:
    """A bar of each price, so that the kernel's own rules move what hangs on it; they are on no tape."""
    rows = events(len(marks))
    account = fold.state.account[0]
    rows["kind"], rows["ts_event"], rows["ts_init"] = int(Kind.BAR), account["ts"], account["ts"]
    rows["seq"] = account["seq"] + 1 + np.arange(len(rows))
    rows["instrument"] = [run.symbols.index(symbol) for symbol in marks]
    for name in ("open", "high", "low", "close"):
        rows[name] = list(marks.values())
    return rows
