"""Splits and dividends read off the adjusted closes of an import: its files as one history, joined to what is stored.

Adjusted closes of one download agree with each other; those of another may have been adjusted since. So where two
files, or what is stored and a file, meet: if the factor is lower before than after, an action lies between. If it is
higher, or both are 1 because each day's file begins anew, nothing is told, and a note says so. A file that begins with
a bar that is stored tells all.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from adapters.market.actions import infer_actions, ratio_noise
from adapters.market.check import stretches
from adapters.market.edges import BEFORE, Sides, StoredBar
from adapters.market.findings import Findings
from adapters.market.load import LoadedFile
from adapters.market.prices import SCALE
from adapters.market.recorded import Inferred
from adapters.market.spool import Spool
from adapters.market.tape import Columns
from adapters.market.zones import DAY, show_time, to_local

SHOWN = 3
_NEEDED = ("open", "close", "adj_close", "stamp", "span", "line")
END = (0, -1)  # of a history, by side


def infer(
    spool: Spool,
    files: Sequence[LoadedFile],
    order: np.ndarray,
    known: np.ndarray,
    names: Sequence[str],
    stored: Mapping[str, Sides],
    tz: str,
) -> tuple[list[Inferred], list[str]]:
    """(actions of the rows `order`, notes). `known` marks rows that are stored; `stored` has their neighbours."""
    found: list[Inferred] = []
    untold: list[str] = []
    adjusted = spool.column("adj_close")[order]
    usable = np.isfinite(adjusted) & (adjusted > 0)
    if not usable.any():
        return [], []
    codes = spool.column("code")[order]
    starts = np.array([file.start for file in files])
    for rows in stretches(codes):
        rows = rows[usable[rows]]  # noqa: PLW2901
        if not len(rows):
            continue
        symbol, places = names[int(codes[rows[0]])], order[rows]
        columns = {name: spool.column(name)[places] for name in _NEEDED}
        columns["file"] = np.searchsorted(starts, places, "right") - 1
        columns["stored"] = np.zeros(len(rows), bool)
        for side, bar in enumerate(stored.get(symbol, (None, None))):
            if bar is not None and not known[rows[END[side]]] and bar.span == int(columns["span"][END[side]]):
                columns = _joined(columns, bar, side)
        pieces, nights = _pieces(columns, tz)
        untold += [f"{symbol} ({night})" for night in nights]
        for piece in pieces:
            found += _actions_of(symbol, piece, files, tz)
    return found, _note(untold)


def _joined(columns: Columns, bar: StoredBar, side: int) -> Columns:
    """The history with a stored bar at one end; what is wrong with the night between is told of the row beside it."""
    row = {name: columns[name][END[side]] for name in ("line", "file")}
    row |= {"open": bar.open, "close": bar.close, "adj_close": bar.adj_close, "stamp": bar.stamp, "span": bar.span}
    place = 0 if side == BEFORE else len(columns["stamp"])
    return {name: np.insert(values, place, row.get(name, True)) for name, values in columns.items()}


def _pieces(columns: Columns, tz: str) -> tuple[list[Columns], list[str]]:
    """(the history cut where two downloads meet that do not agree, the nights of which nothing can be told)."""
    days = to_local(columns["stamp"] - columns["span"], tz) // DAY
    factor = columns["adj_close"] * SCALE / columns["close"]
    ratio, noise = factor[:-1] / factor[1:], ratio_noise(columns["adj_close"])
    seam = (np.diff(columns["file"]) != 0) | columns["stored"][1:] | columns["stored"][:-1]
    unlike = seam & ~(ratio <= 1 + noise)  # or the stored one is not known
    anew = seam & (np.abs(ratio - 1) <= noise) & (np.abs(factor[1:] - 1) <= noise)
    night = days[1:] != days[:-1]
    cuts = np.flatnonzero(unlike | (seam & ~night)) + 1
    places = np.split(np.arange(len(factor)), cuts)
    untold = [f"{_show_day(days[i])} to {_show_day(days[i + 1])}" for i in np.flatnonzero((unlike | anew) & night)]
    return [{name: values[rows] for name, values in columns.items()} for rows in places], untold


def _actions_of(symbol: str, columns: Columns, files: Sequence[LoadedFile], tz: str) -> list[Inferred]:
    def findings_of(row: int) -> Findings:
        return files[int(columns["file"][row])].findings

    opened = columns["stamp"] - columns["span"]
    return [
        Inferred(symbol, action, int(opened[before]), int(columns["line"][after]), findings_of(after))
        for before, after, action in infer_actions(columns, -1, symbol, tz, findings_of)
    ]


def _show_day(day: int) -> str:
    return show_time(int(day) * DAY, "UTC")[:10]


def _note(untold: list[str]) -> list[str]:
    if not untold:
        return []
    more = f" and {len(untold) - SHOWN:,} more" if len(untold) > SHOWN else ""
    text = (
        "whether there was a split or dividend cannot be told for "
        f"{', '.join(untold[:SHOWN])}{more}: begin each file with the last bar of the one before, as your vendor "
        "adjusts it now, or state them with --actions FILE"
    )
    return [text]
