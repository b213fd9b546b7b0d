"""What orders, positions and the account became, event by event: the rows that the as-of macros ask."""

import duckdb
import numpy as np
import pyarrow as pa

from kernel.codes import Kind, TradingState
from projections.folding import FILLED, Folded, rows_of
from projections.names import LEVEL, REASON, STATUS, RunConfig, label
from projections.orders import standing
from projections.tables import insert, with_nulls
from projections.watch import WATCHED

SETS_TERMS = [
    int(kind)
    for kind in (Kind.ORDER_SUBMITTED, Kind.ORDER_DENIED, Kind.ORDER_RELEASED, Kind.ORDER_RESTATED, Kind.ORDER_REPLACED)
]
STATES = tuple(state.name for state in TradingState)
CHANGE = np.dtype(
    [
        (name, "i8")
        for name in (
            *("seq", "ts", "ts_init", "strategy", "instrument", "qty", "cost", "realized", "fees", "dividends"),
            "charge",  # 1: only charges came
        )
    ]
)


def add_changes(connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded) -> None:
    """Append what the batch changed."""
    _add_order_changes(connection, tape, rows_of(folded.rows, Kind.ORDER_SUBMITTED, Kind.ORDER_REPLACE_REJECTED))
    changes = _position_changes(folded)
    columns = {name: changes[name] for name in CHANGE.names or () if name not in ("strategy", "instrument", "charge")}
    columns |= {name: with_nulls(changes[name], changes["charge"] != 0) for name in ("qty", "cost")}
    words = {
        "strategy": label(run.strategies, changes["strategy"]),
        "symbol": label(run.symbols, changes["instrument"]),
    }
    insert(connection, "position_changes", tape, columns | words)
    account = folded.account
    columns = {name: account[name] for name in ("seq", "ts", "ts_init", *WATCHED)}
    words = {
        "trading_state": label(STATES, account["trading_state"]),
        "kill_level": label(LEVEL, account["kill_level"]),
    }
    insert(connection, "account_changes", tape, columns | words)


def _add_order_changes(connection: duckdb.DuckDBPyConnection, tape: str, rows: np.ndarray) -> None:
    kept = ~np.isin(rows["kind"], SETS_TERMS)
    cum_qty, leaves_qty = standing(rows)
    terms: dict[str, pa.Array] = {name: with_nulls(rows[name], kept) for name in ("qty", "px", "trigger_px")}
    insert(
        connection,
        "order_changes",
        tape,
        {
            **{name: rows[name] for name in ("seq", "ts_init", "order_id")},
            "cum_qty": cum_qty,
            "leaves_qty": leaves_qty,
            **terms,
            "ts": rows["ts_event"],
            "status": label(STATUS, rows["status"]),
            "reason": label(REASON, rows["reason"]),
        },
    )


def _position_changes(folded: Folded) -> np.ndarray:
    """CHANGE records: one a fill or settlement, one a charge, then one a position that a split or dividend changed."""
    moves, traces, charges = folded.moves, folded.traces, folded.charges
    parts = [np.zeros(len(moves), CHANGE), np.zeros(len(charges), CHANGE)]
    for part, rows in zip(parts, (moves, charges), strict=True):
        for name in ("seq", "ts_init", "strategy", "instrument"):
            part[name] = rows[name]
        part["ts"] = rows["ts_event"]
    parts[0]["fees"] = np.where(moves["kind"] == FILLED, moves["fee"], 0)
    parts[0]["qty"], parts[0]["cost"], parts[0]["realized"] = (
        traces[name] for name in ("qty_after", "cost_after", "realized")
    )
    parts[1]["fees"], parts[1]["charge"] = folded.totals, 1
    for action in folded.actions:
        part = np.zeros(len(action.strategy), CHANGE)
        for name in ("seq", "ts_init", "instrument"):
            part[name] = action.row[name]
        part["ts"] = action.row["ts_event"]
        for name in ("strategy", "qty", "cost", "realized", "dividends"):
            part[name] = getattr(action, name)
        parts.append(part)
    return np.concatenate(parts)
