"""Rows through `kernel.fold`, and what they did: traces of fills and settlements, charges, refused reports, splits,
dividends, trips, the account.

The simulated venue's events are right by construction. A report from outside may be refused, and its status words are
the broker's: such rows are folded one at a time and what the kernel made of them is written over the copy.
"""

from typing import NamedTuple

import numpy as np

from kernel.codes import Item, Kind, Origin, Status
from kernel.schema import join_rows, take_rows
from kernel.trace import TRACE
from projections.watch import WatchedFold

FIRST_REPORT, LAST_REPORT = int(Kind.ORDER_CANCEL_SUBMITTED), int(Kind.ORDER_REPLACE_REJECTED)
FILLED, SPLIT, DIVIDEND = int(Kind.ORDER_FILLED), int(Kind.SPLIT), int(Kind.DIVIDEND)
CHARGED, SETTLED = int(Kind.CHARGED), int(Kind.SETTLED)
TRIPPED, KILL_RESET = int(Kind.TRIPPED), int(Kind.KILL_RESET)
ITEMS = tuple(item.name.lower() for item in Item)
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


class Trip(NamedTuple):
    """A TRIPPED or KILL_RESET that was not refused."""

    row: np.ndarray  # one EVENT
    kill_level: int  # after it


class Folded(NamedTuple):
    """A batch after folding."""

    rows: np.ndarray  # EVENT copies, in seq order; refused reports are left out
    moves: np.ndarray  # the ORDER_FILLED and SETTLED among them
    traces: np.ndarray  # one TRACE a move
    charged: np.ndarray  # what the batch charges for each move, money
    charges: np.ndarray  # the CHARGED among them
    totals: np.ndarray  # what each charge comes to, money
    late: np.ndarray  # places of charges whose move came in an earlier batch: at most one, the first row
    splits: list[SplitEffect]
    actions: list[PositionChange]
    trips: list[Trip]
    account: np.ndarray  # ACCOUNT_CHANGE records


def fold_batch(fold: WatchedFold, rows: np.ndarray) -> Folded:
    """Fold EVENT rows in and say what they did."""
    rows = join_rows([rows])  # a copy
    kept = np.ones(len(rows), bool)
    kinds = rows["kind"]
    reported = (kinds >= FIRST_REPORT) & (kinds <= LAST_REPORT) & (rows["origin"] == Origin.EXTERNAL)
    traces, splits, start = [np.zeros(0, TRACE)], [], 0
    actions: list[PositionChange] = []
    trips: list[Trip] = []
    for place in np.flatnonzero(reported | np.isin(kinds, (SPLIT, DIVIDEND, TRIPPED, KILL_RESET))).tolist():
        traces.append(fold.add(rows[start:place]))
        start = place + 1
        if kinds[place] in (TRIPPED, KILL_RESET):
            trips += _fold_trip(fold, rows[place:start])
        elif not reported[place]:
            splits += _fold_action(fold, rows[place:start], actions)
        else:
            trace = _fold_report(fold, rows[place:start])
            kept[place] = trace is not None
            if trace is not None:
                traces.append(trace)
    traces.append(fold.add(rows[start:]))
    rows = rows if kept.all() else take_rows(rows, np.flatnonzero(kept))
    moves = take_rows(rows, np.flatnonzero(np.isin(rows["kind"], (FILLED, SETTLED))))
    every = np.concatenate(traces)
    assert np.array_equal(moves["seq"], every["seq"]), "each accepted fill and each settlement has one trace"
    charges = rows_of(rows, CHARGED)
    totals = sum_of_items(charges)
    charged, late = _match(moves, charges, totals)
    return Folded(rows, moves, every, charged, charges, totals, late, splits, actions, trips, fold.take_account())


def sum_of_items(charges: np.ndarray) -> np.ndarray:
    """What each CHARGED comes to, money."""
    return sum((charges[name] for name in ITEMS), np.zeros(len(charges), np.int64))


def moves_of(charges: np.ndarray) -> np.ndarray:
    """The seq of the fill or settlement that each CHARGED is of, which comes right before it; 0: of a day."""
    return np.where(charges["order_id"] > 0, charges["cause"], np.where(charges["strategy"] > 0, charges["seq"] - 1, 0))


def _match(moves: np.ndarray, charges: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(what is charged for each move, places of the charges whose move is not here)."""
    charged, of = np.zeros(len(moves), np.int64), moves_of(charges)
    place = np.searchsorted(moves["seq"], of)
    here = np.zeros(len(of), bool)
    within = place < len(moves)
    here[within] = moves["seq"][place[within]] == of[within]
    np.add.at(charged, place[here], totals[here])
    return charged, np.flatnonzero(~here & (of > 0))


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


def _fold_trip(fold: WatchedFold, row: np.ndarray) -> list[Trip]:
    """Fold a TRIPPED or KILL_RESET; empty when it was refused."""
    account = fold.state.account[0]
    before = int(account["kill_level"])
    fold.add(row)
    after = int(account["kill_level"])
    if row["kind"][0] == KILL_RESET:
        accepted = before > 0 and after == 0
    else:
        accepted = 0 < row["strategy"][0] < len(fold.state.books) or 0 < row["level"][0] <= after
    return [Trip(row, after)] if accepted else []


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
