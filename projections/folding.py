"""Rows through `kernel.fold`, and what they did: fill traces, refused reports, splits, dividends, the account.

The simulated venue's events are right by construction. A report from outside may be refused, and its status words are
the broker's: such rows are folded one at a time and what the kernel made of them is written over the copy.
"""

from typing import NamedTuple

import numpy as np

from kernel.codes import Kind, Origin, Status
from kernel.schema import join_rows, take_rows
from kernel.trace import TRACE
from projections.watch import WatchedFold

FIRST_REPORT, LAST_REPORT = int(Kind.ORDER_CANCEL_SUBMITTED), int(Kind.ORDER_REPLACE_REJECTED)
FILLED, SPLIT, DIVIDEND = int(Kind.ORDER_FILLED), int(Kind.SPLIT), int(Kind.DIVIDEND)
ENDED = {  # where an order stands when a report took it out of the table
    int(Kind.ORDER_REJECTED): Status.REJECTED,
    int(Kind.ORDER_FILLED): Status.FILLED,
    int(Kind.ORDER_CANCELED): Status.CANCELED,
    int(Kind.ORDER_EXPIRED): Status.EXPIRED,
}


class SplitEffect(NamedTuple):
    """What a split did to the positions of its instrument, by strategy number."""

    seq: int
    ts: int
    instrument: int
    numerator: int
    denominator: int
    qty: np.ndarray  # after it
    realized: np.ndarray  # by the fractions it paid out


class PositionChange(NamedTuple):
    """What a split or dividend did to the positions of its instrument that it changed, by strategy number."""

    row: np.ndarray  # the action: one EVENT
    strategy: np.ndarray
    qty: np.ndarray  # after it
    cost: np.ndarray  # after it
    realized: np.ndarray  # by it
    dividends: np.ndarray  # by it


class Folded(NamedTuple):
    """A batch after folding."""

    rows: np.ndarray  # EVENT copies, in seq order; refused reports are left out
    fills: np.ndarray  # the ORDER_FILLED among them
    traces: np.ndarray  # one TRACE a fill
    splits: list[SplitEffect]
    actions: list[PositionChange]
    account: np.ndarray  # ACCOUNT_CHANGE records


def fold_batch(fold: WatchedFold, rows: np.ndarray) -> Folded:
    """Fold EVENT rows in and say what they did."""
    rows = join_rows([rows])  # a copy
    kept = np.ones(len(rows), bool)
    kinds = rows["kind"]
    reported = (kinds >= FIRST_REPORT) & (kinds <= LAST_REPORT) & (rows["origin"] == Origin.EXTERNAL)
    traces, splits, start = [np.zeros(0, TRACE)], [], 0
    actions: list[PositionChange] = []
    for place in np.flatnonzero(reported | (kinds == SPLIT) | (kinds == DIVIDEND)).tolist():
        traces.append(fold.add(rows[start:place]))
        start = place + 1
        if not reported[place]:
            splits += _fold_action(fold, rows[place:start], actions)
        else:
            trace = _fold_report(fold, rows[place:start])
            kept[place] = trace is not None
            if trace is not None:
                traces.append(trace)
    traces.append(fold.add(rows[start:]))
    rows = rows if kept.all() else take_rows(rows, np.flatnonzero(kept))
    fills = rows_of(rows, FILLED)
    every = np.concatenate(traces)
    assert np.array_equal(fills["seq"], every["seq"]), "each accepted fill has one trace"
    return Folded(rows, fills, every, splits, actions, fold.take_account())


def rows_of(rows: np.ndarray, first: int, last: int = 0) -> np.ndarray:
    """The rows of one kind, or of kinds `first` to `last`."""
    kinds = rows["kind"]
    return take_rows(rows, np.flatnonzero((kinds >= first) & (kinds <= (last or first))))


def _order(fold: WatchedFold, order_id: int) -> np.ndarray:
    orders = fold.state.orders
    return orders[orders["order_id"] == order_id][:1] if order_id > 0 else orders[:0]


def _fold_report(fold: WatchedFold, row: np.ndarray) -> np.ndarray | None:
    """Fold one report from outside and correct the row by what it did; None when it was refused."""
    before = _order(fold, int(row["order_id"][0]))
    if len(before) == 0:
        return _fold_late_fill(fold, row)
    row["strategy"], row["side"] = before["strategy"], before["side"]  # the order's, whatever the report says
    trace = fold.add(row)
    after = _order(fold, int(row["order_id"][0]))
    if before.tobytes() == after.tobytes():
        return None
    if len(after):
        row["status"], row["cum_qty"], row["leaves_qty"] = after["status"], after["cum_qty"], after["leaves_qty"]
        return trace
    filled = int(row["qty"][0]) if row["kind"][0] == FILLED else 0
    row["status"] = ENDED[int(row["kind"][0])]
    row["cum_qty"], row["leaves_qty"] = before["cum_qty"] + filled, before["leaves_qty"] - filled
    return trace


def _fold_late_fill(fold: WatchedFold, row: np.ndarray) -> np.ndarray | None:
    """A report without a working order: None, unless it is a fill that was under way when its order ended."""
    gone = fold.state.gone
    place = np.flatnonzero(gone["order_id"] == row["order_id"][0])[:1] if row["order_id"][0] > 0 else gone[:0]
    fills = int(fold.state.account["fills"][0])
    trace = fold.add(row)
    if int(fold.state.account["fills"][0]) == fills:
        return None
    of = gone[place]
    for name in ("strategy", "side", "cum_qty", "leaves_qty"):
        row[name] = of[name]
    row["status"] = Status.FILLED if of["leaves_qty"][0] == 0 else Status.CANCELED
    return trace


def _fold_action(fold: WatchedFold, row: np.ndarray, actions: list[PositionChange]) -> list[SplitEffect]:
    """Fold a SPLIT or DIVIDEND; adds to `actions` what it changed and returns the effect of a split, none when it was
    refused or nobody held anything."""
    instrument = int(row["instrument"][0])
    if not 0 <= instrument < len(fold.state.markets):
        fold.add(row)
        return []
    held = fold.state.positions[instrument :: len(fold.state.markets)]
    before, factor = held.copy(), float(fold.state.markets["adjustment"][instrument])
    fold.add(row)
    changed = np.flatnonzero(before != held)
    if len(changed):
        now, then = held[changed], before[changed]
        realized, dividends = now["realized"] - then["realized"], now["dividends"] - then["dividends"]
        actions.append(PositionChange(row, changed, now["qty"], now["cost"], realized, dividends))
    if factor == float(fold.state.markets["adjustment"][instrument]) or not before["qty"].any():
        return []
    return [
        SplitEffect(
            int(row["seq"][0]),
            int(row["ts_event"][0]),
            instrument,
            int(row["numerator"][0]),
            int(row["denominator"][0]),
            held["qty"].copy(),
            held["realized"] - before["realized"],
        )
    ]
