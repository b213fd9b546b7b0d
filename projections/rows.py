"""Rows that a batch adds (signals, fills, equity, faults, anomalies) and what it replaces (positions, account).

What is charged, settled, denied and tripped is in `projections/settled.py`.
"""

from collections.abc import Mapping

import duckdb
import numpy as np

from kernel.codes import Kind, TradingState
from kernel.fold import Fold
from kernel.schema import take_rows
from projections.folding import FILLED, Folded, rows_of
from projections.names import HOOK, LEVEL, ORDER_TYPE, REASON, SIDE, TIF, RunConfig, label, texts
from projections.tables import Columns, insert, with_nulls

MONEY = ("equity", "cash", "realized", "unrealized", "fees", "dividends", "peak", "max_drawdown", "exposure")
BALANCE = ("cash", "realized", "fees", "dividends", "paid_in")
KEEP_LAST_FILL = (
    "ON CONFLICT DO UPDATE SET qty = excluded.qty, cost = excluded.cost, realized = excluded.realized, "
    "fees = excluded.fees, dividends = excluded.dividends, mark = excluded.mark, "
    "last_fill_seq = greatest(last_fill_seq, excluded.last_fill_seq), "
    "last_fill_ts = CASE WHEN excluded.last_fill_seq > last_fill_seq THEN excluded.last_fill_ts ELSE last_fill_ts END"
)


def add_rows(
    connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded, notes: Mapping[int, str]
) -> None:
    """Append what the batch says."""
    rows = folded.rows

    def where(rows: np.ndarray) -> Columns:
        return {
            "seq": rows["seq"],
            "ts": rows["ts_event"],
            "strategy": label(run.strategies, rows["strategy"]),
            "symbol": label(run.symbols, rows["instrument"]),
        }

    insert(connection, "signals", tape, _signals(where, rows_of(rows, Kind.SIGNAL)))
    insert(connection, "fills", tape, _fills(where, folded))
    insert(connection, "equity", tape, _equity(rows_of(rows, Kind.EQUITY)))
    faults = rows_of(rows, Kind.STRATEGY_FAULT)
    insert(connection, "faults", tape, {**where(faults), "hook": label(HOOK, faults["code"]), **_why(faults, notes)})
    odd = rows_of(rows, Kind.ANOMALY)
    insert(
        connection,
        "anomalies",
        tape,
        {**where(odd), "cause": odd["cause"], "order_id": odd["order_id"], **_why(odd, notes)},
    )


def _why(rows: np.ndarray, notes: Mapping[int, str]) -> Columns:
    return {"reason": label(REASON, rows["reason"]), "text": texts(rows["seq"], rows["reason"], notes)}


def _signals(where, rows: np.ndarray) -> Columns:  # type: ignore[no-untyped-def]
    return {
        **where(rows),
        **{name: rows[name] for name in ("cause", "qty", "px", "trigger_px", "ref")},
        "side": label(SIDE, rows["side"].astype(np.int64) + 1),
        "order_type": label(ORDER_TYPE, rows["order_type"]),
        "tif": label(TIF, rows["tif"]),
        "strength": rows["value"],
    }


def _fills(where, folded: Folded) -> Columns:  # type: ignore[no-untyped-def]
    """Fills with what was charged for them: their fee, and the cash that was left, are after that."""
    filled = np.flatnonzero(folded.moves["kind"] == FILLED)
    fills, traces, charged = take_rows(folded.moves, filled), folded.traces[filled], folded.charged[filled]
    return {
        **where(fills),
        **{name: fills[name] for name in ("order_id", "qty", "px")},
        "side": label(SIDE, fills["side"].astype(np.int64) + 1),
        "fee": fills["fee"] + charged,
        "charges": charged,
        "realized": traces["realized"],
        "position_qty": traces["qty_after"],
        "position_cost": traces["cost_after"],
        "cash": traces["cash_after"] - charged,
    }


def _equity(rows: np.ndarray) -> Columns:
    return {
        "seq": rows["seq"],
        "ts": rows["ts_event"],
        **{name: rows[name] for name in MONEY},
        "market_value": rows["equity"] - rows["cash"],
        "drawdown": np.maximum(rows["peak"] - rows["equity"], 0),
        "max_drawdown_share": rows["value"],
    }


def save_positions(
    connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, fold: Fold, folded: Folded
) -> None:
    """Replace the positions that are open, or that this batch's fills, settlements, charges or actions touched."""
    width = len(fold.state.markets)
    fills = rows_of(folded.moves, FILLED)
    last = np.zeros(len(fold.state.positions), np.int64)
    np.maximum.at(last, _places(fills, width), np.arange(1, len(fills) + 1))
    chosen = (fold.state.positions["qty"] != 0) | (last > 0)
    chosen[_places(folded.moves, width)] = True
    chosen[_places(folded.charges, width)] = True
    actions = rows_of(folded.rows, Kind.SPLIT, Kind.DIVIDEND)
    acted = np.isin(np.arange(len(last)) % width, actions["instrument"])
    chosen |= acted & fold.state.positions.view(np.int64).reshape(len(last), -1)[:, :5].any(axis=1)  # it ever traded
    chosen = np.flatnonzero(chosen)
    held, last = fold.state.positions[chosen], last[chosen]
    marks = fold.state.markets["mark"][chosen % width]
    insert(
        connection,
        "positions",
        tape,
        {
            "strategy": label(run.strategies, chosen // width),
            "symbol": label(run.symbols, chosen % width),
            **{name: held[name] for name in ("qty", "cost", "realized", "fees", "dividends")},
            "mark": with_nulls(marks, (held["qty"] == 0) | (marks == 0)),
            "last_fill_seq": _pick(fills["seq"], last),
            "last_fill_ts": _pick(fills["ts_event"], last),
        },
        KEEP_LAST_FILL,
    )


def _places(rows: np.ndarray, width: int) -> np.ndarray:
    """Where the positions of these events are in the table."""
    places: np.ndarray = rows["strategy"].astype(np.int64) * width + rows["instrument"]
    return places


def _pick(values: np.ndarray, last: np.ndarray) -> np.ndarray:
    """values[last - 1], 0 where `last` is 0."""
    return np.concatenate([np.zeros(1, np.int64), values])[last]


def save_account(connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, fold: Fold) -> None:
    """Replace the account, in its own currency, and its balances in all."""
    account, purses = fold.state.account, fold.state.purses
    columns = {name: account[name] for name in ("seq", "ts", "open_orders")}
    columns |= {name: purses[name][:1] for name in (*BALANCE, "reserved")}
    columns["short_hold"] = purses["hold"][:1]
    words = {"trading_state": [TradingState(int(account["trading_state"][0])).name]}
    words["kill_level"] = [LEVEL[int(account["kill_level"][0])]]
    connection.execute("DELETE FROM accounts WHERE tape = ?", [tape])
    insert(connection, "accounts", tape, {**columns, **words})
    connection.execute("DELETE FROM balances WHERE tape = ?", [tape])
    columns = {name: purses[name] for name in (*BALANCE, "reserved", "hold", "rate")}
    columns |= {"unsettled": purses["sold"] + purses["due"]}
    named = [*run.currencies, *(f"#{number}" for number in range(len(run.currencies), len(purses)))]
    insert(connection, "balances", tape, {"currency": named[: len(purses)], **columns})
