"""Rows of what happened beside orders that fill: charges, settlements, denials, trips."""

import json
from collections.abc import Mapping

import duckdb
import numpy as np
import pyarrow as pa

from kernel.codes import Kind
from kernel.schema import take_rows
from kernel.terms import terms_of
from projections.bounds import denied_text, trip_text
from projections.folding import ITEMS, SETTLED, Folded, moves_of, rows_of
from projections.names import LEVEL, REASON, SETTLED_SIDE, RunConfig, label
from projections.tables import Columns, insert, with_nulls

SET_FEE = "UPDATE fills SET fee = fee + ?, charges = charges + ?, cash = cash - ? WHERE tape = ? AND seq = ?"
SET_CHARGES = "UPDATE settlements SET charges = charges + ? WHERE tape = ? AND seq = ?"


def add_settled(
    connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded, notes: Mapping[int, str]
) -> None:
    """Append what the batch says, once its fills are in."""
    _add_charges(connection, tape, run, folded)
    _add_settlements(connection, tape, run, folded)
    _add_denials(connection, tape, run, rows_of(folded.rows, Kind.ORDER_DENIED))
    _add_trips(connection, tape, run, folded, notes)


def _where(run: RunConfig, rows: np.ndarray) -> Columns:
    return {
        "seq": rows["seq"],
        "ts": rows["ts_event"],
        "strategy": label(run.strategies, rows["strategy"]),
        "symbol": label(run.symbols, rows["instrument"]),
    }


def _add_charges(connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded) -> None:
    rows, totals = folded.charges, folded.totals
    for place in folded.late.tolist():
        of, total = int(moves_of(rows[place : place + 1])[0]), int(totals[place])
        connection.execute(SET_FEE, [total, total, total, tape, of])
        connection.execute(SET_CHARGES, [total, tape, of])
    about = {"cause": rows["cause"], "order_id": with_nulls(rows["order_id"], rows["order_id"] == 0)}
    items = {name: rows[name] for name in ITEMS}
    insert(connection, "charges", tape, {**_where(run, rows), **about, **items, "total": totals})


def _add_settlements(connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded) -> None:
    settled = np.flatnonzero(folded.moves["kind"] == SETTLED)
    rows, traces = take_rows(folded.moves, settled), folded.traces[settled]
    insert(
        connection,
        "settlements",
        tape,
        {
            **_where(run, rows),
            **{name: rows[name] for name in ("cause", "qty", "px")},
            "reason": label(REASON, rows["reason"]),
            "side": label(SETTLED_SIDE, rows["side"].astype(np.int64) + 1),
            "charges": folded.charged[settled],
            "realized": traces["realized"],
            "position_qty": traces["qty_after"],
            "position_cost": traces["cost_after"],
        },
    )


def _add_denials(connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, rows: np.ndarray) -> None:
    if not len(rows):
        return
    scales = {terms.number: terms.px_scale for terms in terms_of(run.config)}
    numbers = zip(*(rows[name].tolist() for name in ("reason", "actual", "allowed", "instrument")), strict=True)
    said = [denied_text(reason, actual, allowed, scales.get(k, 10_000)) for reason, actual, allowed, k in numbers]
    about = {name: rows[name] for name in ("cause", "actual", "allowed")}
    words = {"reason": label(REASON, rows["reason"]), "text": said}
    insert(connection, "denials", tape, {**_where(run, rows), **about, **words})


def _add_trips(
    connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig, folded: Folded, notes: Mapping[int, str]
) -> None:
    for row, kill_level in folded.trips:
        one, of_strategy = row[0], row["strategy"][0] > 0
        reset = one["kind"] == Kind.KILL_RESET
        about = {
            "kind": [Kind(int(one["kind"])).name],
            "kill_level": [LEVEL[kill_level]],
            "level": [None if of_strategy or reset else LEVEL[int(one["level"])]],
            "text": [trip_text(int(one["reason"]), int(one["measured"]), int(one["bound"]))],
        }
        numbers = {name: row[name] for name in ("measured", "bound")}
        words = {"reason": label(REASON, row["reason"]), **_said(notes.get(int(one["seq"])))}
        where = {name: column for name, column in _where(run, row).items() if name != "symbol"}
        insert(connection, "trips", tape, {**where, **numbers, **about, **words})


def _said(note: str | None) -> Columns:
    """Who and why, as the note of a trip or reset says; nothing of a guard's own, or where it is no such note."""
    try:
        said = json.loads(note or "{}")
    except ValueError:
        said = None
    told = said if isinstance(said, dict) else {}
    texts = {name: str(told.get(name) or "") for name in ("who", "why", "source")}
    return {name: pa.array([text or None], pa.string()) for name, text in texts.items()}
