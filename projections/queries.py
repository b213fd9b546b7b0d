"""What the read side asks of the read models: pages of rows by seq, as dicts of integers and words."""

from typing import Any

import duckdb

from projections.summary import rows_as_dicts

RUNS = """
SELECT tape, mode, currency, timezone, strategies, min(ts) OVER (PARTITION BY tape) AS started_ts, c.last_ts, c.ended,
       c.last_seq AS events,
       i.bars, i.quotes, i.trades AS market_trades,
       (SELECT count(*) FROM fills f WHERE f.tape = r.tape) AS fills,
       coalesce((SELECT arg_max(equity, seq) FROM equity e WHERE e.tape = r.tape), cash) AS final_equity
FROM runs r JOIN checkpoint c USING (tape) JOIN v_inputs i USING (tape)
QUALIFY row_number() OVER (PARTITION BY tape ORDER BY seq DESC) = 1
ORDER BY started_ts DESC, tape
"""
POSITIONS = """
SELECT p.* EXCLUDE (tape), px_scale FROM positions p LEFT JOIN run_instruments i USING (tape, symbol)
WHERE tape = ? ORDER BY strategy, symbol
"""
VALUES = {"orders": ("filled_value",), "trades": ("entry_value", "exit_value")}  # sums of qty * px
PAGES = {  # the column that orders a page
    "orders": "order_id",
    "trades": "opened_seq",
}


def list_runs(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The newest run of each tape, newest first."""
    return rows_as_dicts(connection, RUNS, [])


def list_positions(connection: duckdb.DuckDBPyConnection, tape: str) -> list[dict[str, Any]]:
    return rows_as_dicts(connection, POSITIONS, [tape])


def page(
    connection: duckdb.DuckDBPyConnection, table: str, tape: str, from_seq: int, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Up to `limit` orders or trades from `from_seq` on, and where the next page begins, None at the end."""
    key = PAGES[table]
    money = ", ".join(f"worth({name}, 1, num, den)::BIGINT AS {name}" for name in VALUES[table])
    sql = (
        f"SELECT t.* EXCLUDE (tape) REPLACE ({money}), px_scale FROM {table} t "
        f"LEFT JOIN run_instruments i USING (tape, symbol) WHERE tape = ? AND {key} >= ? ORDER BY {key} LIMIT ?"
    )
    rows = rows_as_dicts(connection, sql, [tape, from_seq, limit + 1])
    return rows[:limit], rows[limit][key] if len(rows) > limit else None
