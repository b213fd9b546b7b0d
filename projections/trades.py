"""Round trips, flat to flat, out of fills and settlements and what the fold says they did to their position.

A settlement closes what it ends, opens what it delivers, and a day's variation is part of the trade that stays open. A
charge belongs to the trade of its fill or settlement; what a day's end charges belongs to none. Open trades live in the
`trades` table with closed_seq NULL: the table is its own checkpoint.
"""

import duckdb
import numpy as np

from kernel.codes import Reason
from projections.exact import checked, divide_half_up, sum_groups, wide_product
from projections.folding import FILLED, Folded, SplitEffect, moves_of
from projections.names import DIRECTION, RunConfig, label
from projections.tables import delete_ids, insert, records_of, with_nulls

VALUES = ("entry_value", "exit_value")  # they pass 64 bits
TRADE = np.dtype(
    [
        (name, "O" if name in VALUES else "i8")
        for name in (
            "strategy",
            "instrument",
            "side",  # +1 long, -1 short
            "opened_seq",
            "opened_ts",
            "closed_seq",  # 0 while open
            "closed_ts",
            "max_qty",
            "entry_qty",
            "entry_value",
            "exit_qty",
            "exit_value",
            "realized",
            "fees",
        )
    ]
)
SET_CLOSED = """
UPDATE trades SET fees = fees + ?, pnl = pnl - ? WHERE tape = ? AND closed_seq = ? AND strategy = ? AND symbol = ?
"""
MOVED_QTY = """
SELECT qty FROM fills WHERE tape = ? AND seq = ? UNION ALL SELECT qty FROM settlements WHERE tape = ? AND seq = ?
"""
VARIATION = int(Reason.VARIATION)
ADDED = ("entry_qty", "entry_value", "exit_qty", "exit_value", "realized", "fees")
LEG = np.dtype(
    [
        (name, "i8")
        for name in ("key", "seq", "ts", "side", "qty", "px", "fee", "charged", "realized", "before", "after")
    ]
)


class Trades:
    """The open trades of a tape; `add` folds a batch in and saves it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tape: str, run: RunConfig) -> None:
        self._connection, self._tape, self._run = connection, tape, run
        columns = [f"coalesce({name}, 0)" for name in TRADE.names or ()]
        columns[:3] = ["list_position(?, strategy) - 1", "list_position(?, symbol) - 1", "if(side = 'LONG', 1, -1)"]
        loaded = records_of(
            connection,
            f"SELECT {', '.join(columns)} FROM trades WHERE tape = ? AND closed_seq IS NULL ORDER BY opened_seq",
            [list(run.strategies), list(run.symbols), tape],
            TRADE,
        )
        self._width = max(len(run.symbols), 1)
        self._open = {self._key(trade): trade for trade in loaded}

    def _key(self, trade: np.void) -> int:
        return int(trade["strategy"]) * self._width + int(trade["instrument"])

    def add(self, folded: Folded) -> None:
        """Fold the moves and splits of a batch in, in seq order, and save every trade they touched."""
        saved_before = {int(trade["opened_seq"]) for trade in self._open.values()}
        legs, start = make_legs(folded, self._width), 0
        touched = self._charge_late(folded)
        for split in folded.splits:
            end = int(np.searchsorted(legs["seq"], split.seq))
            touched += self._trade(legs[start:end]) + self._split(split)
            start = end
        touched += self._trade(legs[start:])
        if not touched:
            return
        every = np.concatenate(touched)
        _, last = np.unique(every["opened_seq"][::-1], return_index=True)  # as each stands at the end of the batch
        latest = every[::-1][last]
        replaced = saved_before & set(latest["opened_seq"].tolist())
        delete_ids(self._connection, "trades", self._tape, "opened_seq", replaced)
        self._save(latest)

    def _charge_late(self, folded: Folded) -> list[np.ndarray]:
        """Charges whose fill or settlement was in an earlier batch, to the trade it was of, or to both where it
        flipped."""
        touched = []
        for place in folded.late.tolist():
            row, total = folded.charges[place], int(folded.totals[place])
            of, key = int(moves_of(folded.charges[place : place + 1])[0]), self._key(row)
            trade, share = self._open.get(key), 0
            if trade is not None:
                opened = trade["opened_seq"] == of
                share = divide_down(total, int(trade["entry_qty"]), self._qty_of(of)) if opened else total
                trade["fees"] += share
                touched.append(np.array([trade], TRADE))
            if share != total:
                named = self._run.strategies[int(row["strategy"])], self._run.symbols[int(row["instrument"])]
                rest = total - share
                self._connection.execute(SET_CLOSED, [rest, rest, self._tape, of, *named])
        return touched

    def _qty_of(self, seq: int) -> int:
        found = self._connection.execute(MOVED_QTY, [self._tape, seq, self._tape, seq]).fetchone()
        assert found is not None, "a charge of a fill that is not there"
        return int(found[0])

    def _trade(self, legs: np.ndarray) -> list[np.ndarray]:
        """The trades these legs belong to; open ones stay in mind."""
        if not len(legs):
            return []
        trades, keys = group_legs(legs, self._width)
        for place, key in zip(*(part.tolist() for part in _firsts(keys)), strict=True):
            carried = self._open.pop(key, None)
            if carried is not None:
                _join(carried, trades[place : place + 1])
        for place in np.flatnonzero(trades["closed_seq"] == 0).tolist():
            self._open[int(keys[place])] = trades[place].copy()
        return [trades]

    def _split(self, split: SplitEffect) -> list[np.ndarray]:
        """Restate the open trades of an instrument in new shares; what a fraction paid belongs to them."""
        restated = []
        for strategy, qty in enumerate(split.qty.tolist()):
            key = strategy * self._width + split.instrument
            trade = self._open.get(key)
            if trade is None:
                continue
            trade["max_qty"] = int(trade["max_qty"]) * split.numerator // split.denominator  # DOWN, as positions are
            for name in ("entry_qty", "exit_qty"):  # HALF_UP: they only serve the average prices
                twice = 2 * int(trade[name]) * split.numerator + split.denominator
                trade[name] = twice // (2 * split.denominator)
            trade["realized"] += split.realized[strategy]
            if qty == 0:
                trade["closed_seq"], trade["closed_ts"] = split.seq, split.ts
                del self._open[key]
            restated.append(np.array([trade], TRADE))
        return restated

    def _save(self, trades: np.ndarray) -> None:
        still_open = trades["closed_seq"] == 0
        numbers = {name: trades[name] for name in ("opened_seq", "opened_ts", "max_qty", *ADDED)}
        derived = {
            "strategy": label(self._run.strategies, trades["strategy"]),
            "symbol": label(self._run.symbols, trades["instrument"]),
            "side": label(DIRECTION, trades["side"] + 1),
            "closed_seq": with_nulls(trades["closed_seq"], still_open),
            "closed_ts": with_nulls(trades["closed_ts"], still_open),
            "pnl": trades["realized"] - trades["fees"],
        }
        for side in ("entry", "exit"):
            value, qty = trades[f"{side}_value"], trades[f"{side}_qty"]
            derived[f"{side}_px"] = with_nulls(divide_half_up(value, qty), qty == 0)
        insert(self._connection, "trades", self._tape, {**numbers, **derived})


def make_legs(folded: Folded, width: int) -> np.ndarray:
    """One leg a move, two for one that flips: the part that closes, then the part that opens. A variation moves no
    quantity."""
    moves, traces = folded.moves, folded.traces
    before, after = traces["qty_before"], traces["qty_after"]
    flips = (before != 0) & (after != 0) & ((before > 0) != (after > 0))
    source = np.repeat(np.arange(len(moves)), 1 + flips)
    filled = moves["kind"] == FILLED
    legs = np.zeros(len(source), LEG)
    legs["key"] = (moves["strategy"].astype(np.int64) * width + moves["instrument"])[source]
    for name in ("seq", "side", "px"):
        legs[name] = moves[name][source]
    legs["qty"] = np.where(~filled & (moves["reason"] == VARIATION), 0, moves["qty"])[source]
    legs["fee"] = np.where(filled, moves["fee"], 0)[source]
    legs["ts"], legs["charged"] = moves["ts_event"][source], folded.charged[source]
    legs["realized"], legs["before"], legs["after"] = traces["realized"][source], before[source], after[source]
    openings = np.flatnonzero(np.diff(source, prepend=-1) == 0)
    for place in openings.tolist():
        closing, opening = legs[place - 1], legs[place]
        total = int(opening["qty"])
        held, new = abs(int(closing["before"])), abs(int(opening["after"]))
        for name in ("fee", "charged"):
            opening[name] = divide_down(int(opening[name]), new, total)
            closing[name] -= opening[name]
        closing["qty"], closing["after"] = held, 0
        opening["qty"], opening["before"], opening["realized"] = new, 0, 0
    return legs


def divide_down(money: int, part: int, whole: int) -> int:
    """The share of a part, toward zero; the rest stays with the old trade."""
    return abs(money) * part // whole * (1 if money >= 0 else -1)


def group_legs(legs: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(trades, their keys) of legs in seq order: a trade begins where a position leaves zero, or the batch begins."""
    legs = legs[np.argsort(legs["key"], kind="stable")]
    starts = np.flatnonzero((np.diff(legs["key"], prepend=-1) != 0) | (legs["before"] == 0))
    ends = np.append(starts[1:], len(legs)) - 1
    first, last = legs[starts], legs[ends]
    trades = np.zeros(len(starts), TRADE)
    trades["strategy"], trades["instrument"] = first["key"] // width, first["key"] % width
    trades["side"] = np.sign(np.where(first["before"] != 0, first["before"], first["after"]))
    trades["opened_seq"], trades["opened_ts"] = first["seq"], first["ts"]
    closed = last["after"] == 0
    trades["closed_seq"], trades["closed_ts"] = np.where(closed, last["seq"], 0), np.where(closed, last["ts"], 0)
    trades["max_qty"] = np.maximum.reduceat(np.maximum(np.abs(legs["before"]), np.abs(legs["after"])), starts)
    enters = (legs["before"] == 0) | ((legs["before"] > 0) == (legs["side"] > 0))
    value = wide_product(legs["qty"], legs["px"])
    for name, leaves in (("entry", False), ("exit", True)):
        chosen = enters != leaves
        trades[f"{name}_qty"] = sum_groups(np.where(chosen, legs["qty"], 0), starts)
        trades[f"{name}_value"] = sum_groups(np.where(chosen, value, 0), starts)
    trades["realized"] = sum_groups(legs["realized"], starts)
    trades["fees"] = sum_groups(legs["fee"] + legs["charged"], starts)
    return trades, first["key"]


def _firsts(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each key comes first, and the key."""
    unique, places = np.unique(keys, return_index=True)
    return places, unique


def _join(carried: np.void, trade: np.ndarray) -> None:
    """Put what an open trade already had in front of its continuation."""
    for name in ADDED:
        trade[name] += carried[name]
        if name not in VALUES:
            checked(trade[name])
    trade["max_qty"] = np.maximum(trade["max_qty"], carried["max_qty"])
    for name in ("side", "opened_seq", "opened_ts"):
        trade[name] = carried[name]
