"""Regimes in both reports: shares of the time in words, and a strip an instrument on the time axis of the equity chart.

A strip says regime and direction by shape as well as by colour: a trend is a block above or below the middle, a range a
thin line along it, a volatile time the full height.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from api.report_chart import WIDTH, place_times
from api.report_format import count_text, money_text, percent_text
from projections.statistics import ratio

NAMES = {"TREND": "Trend", "RANGE": "Range", "VOLATILE": "Volatile", "UNKNOWN": "Unknown"}
HEIGHT = 20  # of a strip
SHAPES = {  # class in the page: (regime, directions, top and bottom of the block)
    "rising": ("TREND", (0, 1), 0, 12),
    "falling": ("TREND", (-1,), 8, 20),
    "range": ("RANGE", (-1, 0, 1), 8, 12),
    "volatile": ("VOLATILE", (-1, 0, 1), 0, 20),
}
COLUMNS = 800  # of a strip; each shows what it spent most of its time in
MARK_LEAST, MARK_PHONE = 2.0, 5.0  # percent of the width a block needs for an arrow

Data = Mapping[str, Any]
Run = tuple[int, int, str]  # first column, last and one, shape


def shares(points: Mapping[str, int]) -> list[tuple[str, float]]:
    """[(name, share of the equity points)] of the regimes that occurred."""
    total = sum(points.values())
    return [(NAMES[regime], ratio(points[regime], total) or 0.0) for regime in NAMES if points.get(regime)]


def _shares_text(points: Mapping[str, int]) -> str:
    """Trend 34.1%, Range 50.2%."""
    return ", ".join(f"{name} {percent_text(share, 1)}" for name, share in shares(points))


def summary_line(data: Data) -> str:
    """One line: share of the time, net PnL and trades of each regime once it is known."""
    rows, currency = data["regimes"]["rows"], data["currency"]
    total = sum(row["points"] for row in rows)
    parts = []
    for row in rows:
        share = f"{NAMES[row['regime']].lower()} {percent_text(ratio(row['points'], total), 0)}"
        net = f", {money_text(row['net'], currency, 0, True)} in {count_text(row['trades'], currency)}"
        if row["regime"] != "UNKNOWN":
            parts.append(share + (net if row["trades"] else ""))
    return "Regimes: " + "; ".join(parts)


def regime_rows(data: Data) -> list[dict[str, Any]]:
    """Rows of the table: name, share of the time, trades, win rate, net."""
    rows = data["regimes"]["rows"]
    total = sum(row["points"] for row in rows)
    return [
        {
            "name": NAMES[row["regime"]],
            "share": ratio(row["points"], total),
            "trades": row["trades"],
            "win_rate": ratio(row["won"], row["closed"]),
            "net": row["net"],
        }
        for row in rows
    ]


def key_paths() -> dict[str, str]:
    """A sample of each shape for the legend, 26 wide."""
    return {shape: _block(0, 26, shape) for shape in SHAPES}


def strips(data: Data) -> list[dict[str, Any]]:
    """What the template draws of each instrument; empty where there is no time axis, or no regime."""
    ts = np.asarray(data["equity"]["ts"], dtype=np.int64)
    if data["regimes"] is None or len(ts) < 2:
        return []
    x, _ = place_times(ts)
    return [_strip(row, np.interp(row["ts"], ts, x)) for row in data["regimes"]["instruments"]]


def _strip(row: Data, starts: np.ndarray) -> dict[str, Any]:
    """Paths by shape, arrows, and words. `starts`: where each change is, 0..1."""
    columns = _columns(row, starts)
    bounds = [0, *(np.flatnonzero(np.diff(columns)) + 1).tolist(), COLUMNS]
    shapes = [*SHAPES]
    runs = [(start, end, shapes[columns[start]]) for start, end in pairwise(bounds) if columns[start] >= 0]
    changes = max(len(row["ts"]) - 1, 0)
    return {
        "symbol": row["symbol"],
        "shares": shares(row["points"]),
        "label": f"{row['symbol']}: {_shares_text(row['points'])} of the time, {changes} changes",
        "paths": [(shape, path) for shape in SHAPES if (path := _path(shape, runs))],
        "marks": [mark for run in runs if (mark := _mark(run))],
    }


def _columns(row: Data, starts: np.ndarray) -> np.ndarray:
    """Place in SHAPES of each of COLUMNS columns, -1 for not known yet: the one that has most of the column."""
    kinds = [
        next(k for k, (name, ways, *_) in enumerate(SHAPES.values()) if name == regime and way in ways)
        for regime, way in zip(row["regime"], row["direction"], strict=True)
    ]
    ends = np.append(starts[1:], 1.0)
    edges = np.linspace(0.0, 1.0, COLUMNS + 1)
    held = np.zeros((len(SHAPES) + 1, COLUMNS))
    bounds = np.concatenate([[0.0], starts, [1.0]])
    for kind in range(-1, len(SHAPES)):
        lengths = np.where(np.asarray(kinds) == kind, ends - starts, 0.0)
        reached = np.concatenate([[0.0], np.cumsum([starts[0] if kind < 0 else 0.0, *lengths])])
        held[kind + 1] = np.diff(np.interp(edges, bounds, reached))
    most: np.ndarray = np.argmax(held, axis=0) - 1
    return most


def _path(shape: str, runs: Sequence[Run]) -> str:
    """One SVG path of all blocks of a shape."""
    scale = WIDTH // COLUMNS
    return "".join(_block(start * scale, end * scale, shape) for start, end, of in runs if of == shape)


def _block(start: int, end: int, shape: str) -> str:
    _, _, top, bottom = SHAPES[shape]
    return f"M{start} {top}H{end}V{bottom}H{start}Z"


def _mark(run: Run) -> tuple[float, int, str, bool] | None:
    """(x and y in percent, arrow, whether it is for wide screens) of a trend's block that has room for it."""
    start, end, shape = run
    wide = 100 * (end - start) / COLUMNS
    if shape not in ("rising", "falling") or wide < MARK_LEAST:
        return None
    _, _, top, bottom = SHAPES[shape]
    x, y = round(50 * (start + end) / COLUMNS, 2), round(50 * (top + bottom) / HEIGHT)
    return x, y, "▲" if shape == "rising" else "▼", wide < MARK_PHONE
