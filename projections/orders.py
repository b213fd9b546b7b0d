"""One row an order, as its last event left it. Working orders are read back from the table, its own checkpoint."""

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np

from kernel.codes import Kind, Status
from kernel.lifecycle import TERMINAL
from projections.exact import divide_half_up, wide_product
from projections.folding import Folded, rows_of
from projections.names import ORDER_TYPE, REASON, SIDE, STATUS, TIF, RunConfig, label, texts
from projections.tables import delete_ids, insert, records_of, with_nulls

SUBMITTED, DENIED, FILLED = int(Kind.ORDER_SUBMITTED), int(Kind.ORDER_DENIED), int(Kind.ORDER_FILLED)
SETS_TERMS = [int(kind) for kind in (Kind.ORDER_RELEASED, Kind.ORDER_RESTATED, Kind.ORDER_REPLACED)]
LAST_REPORT = int(Kind.ORDER_REPLACE_REJECTED)
PENDING_NEW = int(Status.PENDING_NEW)
TERMS = ("qty", "px", "trigger_px")
ORDER = np.dtype(
    [
        (name, "O" if name == "filled_value" else "i8")  # that one passes 64 bits
        for name in (
            "order_id",
            "signal_seq",
            "strategy",
            "instrument",
            "side",
            "order_type",
            "tif",
            *TERMS,
            "status",
            "cum_qty",
            "leaves_qty",
            "filled_value",
            "fees",
            "reason",
            "submitted_ts",
            "last_ts",
            "last_seq",
        )
    ]
)
PLAIN = (
    "order_id",
    "signal_seq",
    *TERMS,
    "cum_qty",
    "leaves_qty",
    "filled_value",
    "fees",
    "submitted_ts",
    "last_ts",
    "last_seq",
)
_WORDS = {"side": SIDE, "order_type": ORDER_TYPE, "tif": TIF, "status": STATUS, "reason": REASON}


class Orders:
    """The working orders of a tape; `add` folds a batch in and saves it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig) -> None:
        self._connection, self._tape, self._run = connection, tape, run
        words = {"strategy": run.strategies, "instrument": run.symbols, **_WORDS}
        columns, parameters = [], []
        for name in ORDER.names or ():
            if name in words:
                column = "symbol" if name == "instrument" else name
                columns.append(f"coalesce(list_position(?, {column}) - {2 if name == 'side' else 1}, 0)")
                parameters.append([word or "" for word in words[name]])
            else:
                columns.append(name)
        self._select = f"SELECT {', '.join(columns)} FROM orders WHERE tape = ? AND ", [*parameters, tape]
        self._working = self._read("NOT list_contains(?, status)", [status.name for status in TERMINAL])

    def _read(self, which: str, wanted: list[Any]) -> np.ndarray:
        text, parameters = self._select
        return records_of(self._connection, f"{text}{which} ORDER BY order_id", [*parameters, wanted], ORDER)

    def add(self, folded: Folded, notes: Mapping[int, str]) -> None:
        """Fold the order events of a batch in, and what was charged for them."""
        events = rows_of(folded.rows, SUBMITTED, LAST_REPORT)
        charged = np.flatnonzero(folded.charges["order_id"] > 0)
        ids = np.concatenate([events["order_id"], folded.charges["order_id"][charged]])
        if not len(ids):
            return
        opened = rows_of(events, SUBMITTED, DENIED)
        ended = ids[~np.isin(ids, self._working["order_id"]) & ~np.isin(ids, opened["order_id"])]
        if len(ended):  # a fill was under way when they were canceled, or what the last one is charged comes now
            late = self._read("list_contains(?, order_id)", np.unique(ended).tolist())
            self._working = np.sort(np.concatenate([self._working, late]), order="order_id")
        known = np.isin(self._working["order_id"], ids)
        table = np.concatenate([self._working[known], _begin(opened)])
        table = table[np.argsort(table["order_id"])]
        place = np.searchsorted(table["order_id"], ids)
        assert np.array_equal(table["order_id"].take(place, mode="clip"), ids), "an order nobody submitted"
        _advance(table, events, place[: len(events)])
        np.add.at(table["fees"], place[len(events) :], folded.totals[charged])
        delete_ids(self._connection, "orders", self._tape, "order_id", self._working["order_id"][known].tolist())
        self._save(table, notes)
        working = table[~np.isin(table["status"], TERMINAL)]
        self._working = np.concatenate([self._working[~known], working])
        self._working = self._working[np.argsort(self._working["order_id"])]

    def _save(self, table: np.ndarray, notes: Mapping[int, str]) -> None:
        average = divide_half_up(table["filled_value"], table["cum_qty"])
        insert(
            self._connection,
            "orders",
            self._tape,
            {
                **{name: table[name] for name in PLAIN},
                "strategy": label(self._run.strategies, table["strategy"]),
                "symbol": label(self._run.symbols, table["instrument"]),
                **{name: label(words, table[name] + (name == "side")) for name, words in _WORDS.items()},
                "reason_text": texts(table["last_seq"], table["reason"], notes),
                "avg_fill_px": with_nulls(average, table["cum_qty"] == 0),
            },
        )


def _begin(opened: np.ndarray) -> np.ndarray:
    """Orders as their ORDER_SUBMITTED or ORDER_DENIED made them."""
    table = np.zeros(len(opened), ORDER)
    for name in ("order_id", "strategy", "instrument", "side", "order_type", "tif", *TERMS):
        table[name] = opened[name]
    table["signal_seq"], table["submitted_ts"] = opened["cause"], opened["ts_event"]
    return table


def standing(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cum_qty, leaves_qty) after each order event; a ticket has other things in their places."""
    ticket = events["kind"] <= DENIED
    sent = (events["kind"] == SUBMITTED) & (events["status"] != PENDING_NEW)
    leaves = np.where(ticket, np.where(sent, events["qty"], 0), events["leaves_qty"])
    return np.where(ticket, 0, events["cum_qty"]), leaves


def _advance(table: np.ndarray, events: np.ndarray, place: np.ndarray) -> None:
    """Move each order to its last event; `place` is the order of each event."""
    last = np.full(len(table), -1)
    np.maximum.at(last, place, np.arange(len(events)))
    moved = np.flatnonzero(last >= 0)
    last = last[moved]
    for name in ("status", "reason"):
        table[name][moved] = events[name][last]
    cum_qty, leaves_qty = standing(events)
    table["cum_qty"][moved], table["leaves_qty"][moved] = cum_qty[last], leaves_qty[last]
    table["last_ts"][moved], table["last_seq"][moved] = events["ts_event"][last], events["seq"][last]
    restated = np.flatnonzero(np.isin(events["kind"], SETS_TERMS))
    newest = np.full(len(table), -1)
    np.maximum.at(newest, place[restated], restated)
    changed = newest >= 0
    for name in TERMS:
        table[name][changed] = events[name][newest[changed]]
    fills = np.flatnonzero(events["kind"] == FILLED)
    np.add.at(table["filled_value"], place[fills], wide_product(events["qty"][fills], events["px"][fills]))
    np.add.at(table["fees"], place[fills], events["fee"][fills])
