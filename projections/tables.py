"""Columns into DuckDB tables, through Arrow."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

WIDE = pa.decimal128(38, 0)  # of Python integers
Columns = Mapping[str, Any]  # by name: numpy arrays, Arrow arrays or lists of one length
READ_MODELS = (
    "checkpoint",
    "fold_state",
    "left_out",
    "runs",
    "run_instruments",
    "accounts",
    "balances",
    "signals",
    "orders",
    "fills",
    "positions",
    "trades",
    "equity",
    "faults",
    "anomalies",
    "charges",
    "settlements",
    "denials",
    "trips",
    "regimes",
    "order_changes",
    "position_changes",
    "account_changes",
)


def insert(connection: duckdb.DuckDBPyConnection, table: str, tape: str, columns: Columns, then: str = "") -> None:
    """Append rows of `tape`; columns go by name. `then` is SQL after the SELECT (ON CONFLICT ...)."""
    arrow_batch = pa.table({name: _plain(values) for name, values in columns.items()})
    if arrow_batch.num_rows == 0:  # also where there are no columns
        return
    names = ", ".join(columns)  # DuckDB finds `arrow_batch` by its name here, in half the time of registering it
    connection.execute(f"INSERT INTO {table} (tape, {names}) SELECT ?, {names} FROM arrow_batch {then}", [tape])


def _plain(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return pa.array(values.tolist(), WIDE) if values.dtype == object else np.ascontiguousarray(values)
    return values


def with_nulls(values: np.ndarray, missing: np.ndarray) -> pa.Array:
    return pa.array(np.ascontiguousarray(values), mask=missing)


def delete_ids(connection: duckdb.DuckDBPyConnection, table: str, tape: str, column: str, ids: Iterable[int]) -> None:
    """Remove the rows of `tape` whose `column` is one of `ids`."""
    listed = list(ids)
    if listed:
        connection.execute(
            f"DELETE FROM {table} WHERE tape = ? AND {column} >= ? AND {column} IN (SELECT unnest(?))",
            [tape, min(listed), listed],
        )


def drop_tape(connection: duckdb.DuckDBPyConnection, tape: str) -> None:
    """Forget a tape in one transaction; the projector rebuilds it from its first row."""
    connection.begin()
    try:
        for table in READ_MODELS:
            connection.execute(f"DELETE FROM {table} WHERE tape = ?", [tape])
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def records_of(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any], dtype: np.dtype) -> np.ndarray:
    """Integer columns of a query as records of `dtype`, in its field order."""
    found = connection.execute(sql, parameters).fetchall()
    return np.array([tuple(row) for row in found], dtype) if found else np.zeros(0, dtype)
