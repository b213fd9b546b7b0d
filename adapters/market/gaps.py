"""Overnight gaps that look like a split nobody stated: said as a note, since a price may really have halved."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from adapters.market.check import stretches
from adapters.market.edges import BEFORE, Sides
from adapters.market.prices import show_px
from adapters.market.spool import Spool
from adapters.market.zones import DAY, show_time, to_local

RATIOS = [Fraction(n, d) for n, d in ((3, 2), (2, 1), (5, 2), (3, 1), (4, 1), (5, 1), (8, 1), (10, 1), (20, 1))]
RATIOS += [1 / ratio for ratio in RATIOS]
NEAR = 0.03  # relative: what else a price does in a night
SHOWN = 5


def split_like_gaps(
    spool: Spool,
    order: np.ndarray,
    known: np.ndarray,
    names: Sequence[str],
    stored: Mapping[str, Sides],
    explained: set[tuple[str, int]],
    tz: str,
) -> list[str]:
    """Notes on the gaps of this import's symbols, the one to the bars stored before included.

    `order` are its rows in time order, `known` marks those that are stored, `stored` has the bars beside them;
    `explained` are the (symbol, open time) of known splits.
    """
    notes = []
    codes = spool.column("code")[order]
    for rows in stretches(codes):
        places, symbol, old = order[rows], names[int(codes[rows[0]])], known[rows]
        opened = spool.column("stamp")[places] - spool.column("span")[places]
        opens, closes = spool.column("open")[places], spool.column("close")[places]
        before = stored.get(symbol, (None, None))[BEFORE]
        if before is not None:
            opened, old = np.append(before.opened, opened), np.append(True, old)
            opens, closes = np.append(before.open, opens), np.append(before.close, closes)
        for at, ratio in _gaps(opened, opens, closes, tz):
            if not old[at] and (symbol, int(opened[at])) not in explained:
                day, px, last = show_time(int(opened[at]), tz)[:10], show_px(int(opens[at])), int(closes[at - 1])
                notes.append(
                    f"{symbol} opens at {px} on {day} after a close of {show_px(last)}: if that was a split "
                    f"{ratio.numerator}:{ratio.denominator}, it is not known; import it with --actions FILE, or the "
                    "position's value changes with it"
                )
    more = len(notes) - SHOWN
    return notes[:SHOWN] + ([f"and {more} more gaps that look like splits"] if more > 0 else [])


def _gaps(opened: np.ndarray, opens: np.ndarray, closes: np.ndarray, tz: str) -> Iterator[tuple[int, Fraction]]:
    """(place of the bar after it, new shares for old ones) of each gap between two days that is near a simple ratio."""
    ratio = closes[:-1] / np.maximum(opens[1:], 1)
    far = np.flatnonzero((ratio > 1.4) | (ratio < 0.72))
    for i in far.tolist():
        days = to_local(opened[i : i + 2], tz) // DAY
        near = min(RATIOS, key=lambda r: abs(ratio[i] / float(r) - 1))
        if days[0] != days[1] and abs(ratio[i] / float(near) - 1) <= NEAR:
            yield i + 1, near
