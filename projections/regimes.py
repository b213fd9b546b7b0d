"""What instruments' prices did: rows of the tape; for reports, spells, shares of the time and trades by regime."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np

from kernel.codes import Kind, Regime
from projections.folding import Folded, rows_of
from projections.names import RunConfig, label
from projections.tables import insert

WORDS = tuple(None if regime == Regime.UNKNOWN else regime.name for regime in Regime)
NAMES = (*filter(None, WORDS), Regime.UNKNOWN.name)  # in the order of reports
CHANGES = "SELECT symbol, seq, regime, direction FROM regimes WHERE tape = ? ORDER BY symbol, seq"
SPELLS = "SELECT ts, regime, direction FROM regimes WHERE tape = ? AND symbol = ? ORDER BY seq"
POINTS = "SELECT seq FROM equity WHERE tape = ? ORDER BY seq"
INSTRUMENTS_MOST = 10


def add_regimes(connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded) -> None:
    """Append the changes of a batch."""
    rows = rows_of(folded.rows, Kind.REGIME_CHANGED)
    numbers = {name: rows[name] for name in ("seq", "direction", "adx", "volatility")}
    words = {"symbol": label(run.symbols, rows["instrument"])}
    words |= {name: label(WORDS, rows[name]) for name in ("regime", "before")}
    insert(connection, "regimes", tape, {**numbers, **words, "ts": rows["ts_event"]})


def regime_report(
    connection: duckdb.DuckDBPyConnection, tape: str, trades: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """What a report says of regimes; None where the run told none. `trades` have `regime`, that of their opening.

    `instruments`: those most traded, `INSTRUMENTS_MOST` of them, each with its changes and its equity points by regime;
    `left_out`: how many more changed theirs; `rows`: equity points of all instruments, and trades, by regime.
    """
    points = _points_by_regime(connection, tape)
    if not points:
        return None
    traded = Counter(trade["symbol"] for trade in trades)
    chosen = sorted(points, key=lambda symbol: (-traded[symbol], symbol))[:INSTRUMENTS_MOST]
    total = sum(points.values(), Counter[str]())
    return {
        "instruments": [_instrument(connection, tape, symbol, points[symbol]) for symbol in chosen],
        "left_out": len(points) - len(chosen),
        "rows": [_row(name, total[name], trades) for name in NAMES if total[name] or _of(name, trades)],
    }


def _points_by_regime(connection: duckdb.DuckDBPyConnection, tape: str) -> dict[str, Counter[str]]:
    """How many equity points of the run each instrument spent in each regime, by symbol."""
    at = connection.execute(POINTS, [tape]).fetchnumpy()["seq"]
    changes = connection.execute(CHANGES, [tape]).fetchnumpy()
    starts = np.searchsorted(at, changes["seq"])
    symbols = changes["symbol"].tolist()
    last = [*(here != following for here, following in pairwise(symbols)), True]
    ends = np.where(last, len(at), np.append(starts[1:], len(at))) if symbols else starts
    found: dict[str, Counter[str]] = {}
    for symbol, regime, start, count in zip(symbols, changes["regime"], starts, ends - starts, strict=True):
        mine = found.setdefault(symbol, Counter({Regime.UNKNOWN.name: int(start)}))
        mine[str(regime)] += int(count)
    return found


def _instrument(connection: duckdb.DuckDBPyConnection, tape: str, symbol: str, points: Counter[str]) -> dict[str, Any]:
    spells = connection.execute(SPELLS, [tape, symbol]).fetchnumpy()
    changes = {name: values.tolist() for name, values in spells.items()}
    return {"symbol": symbol, "points": {name: points[name] for name in NAMES}, **changes}


def _of(name: str, trades: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [trade for trade in trades if (trade["regime"] or Regime.UNKNOWN.name) == name]


def _row(name: str, points: int, trades: list[dict[str, Any]]) -> dict[str, Any]:
    """Trades opened in a regime; `net` counts open ones with what they realized so far."""
    mine = _of(name, trades)
    closed = [trade for trade in mine if trade["closed_ts"] is not None]
    won = sum(trade["pnl"] > 0 for trade in closed)
    net = sum(trade["pnl"] for trade in mine)
    return {"regime": name, "points": points, "trades": len(mine), "closed": len(closed), "won": won, "net": net}
