"""Overnight gaps that look like a split nobody stated: said as a note, since a price may really have halved."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from adapters.market.instruments import Registry
from adapters.market.prices import show_px
from adapters.market.reader import bar_batches
from adapters.market.spool import Spool
from adapters.market.tape import Manifest
from adapters.market.zones import DAY, show_time, to_local

RATIOS = [Fraction(n, d) for n, d in ((3, 2), (2, 1), (5, 2), (3, 1), (4, 1), (5, 1), (8, 1), (10, 1), (20, 1))]
RATIOS += [1 / ratio for ratio in RATIOS]
NEAR = 0.03  # relative: what else a price does in a night
SHOWN = 5


def split_like_gaps(
    registry: Registry,
    tapes: Sequence[Manifest],
    spool: Spool,
    order: np.ndarray,
    names: Sequence[str],
    explained: set[tuple[str, int]],
    tz: str,
) -> list[str]:
    """Notes on the gaps of this import's symbols, the one to the bars stored before included.

    `order` are the rows to be stored, in time order; `explained` are the (symbol, open time) of known splits.
    """
    notes = []
    codes = spool.column("code")[order]
    by_code = np.argsort(codes, kind="stable")
    for rows in np.split(by_code, np.flatnonzero(np.diff(codes[by_code])) + 1):
        if not len(rows):
            continue
        places, symbol = order[rows], names[int(codes[rows[0]])]
        opened = spool.column("stamp")[places] - spool.column("span")[places]
        opens, closes = spool.column("open")[places], spool.column("close")[places]
        before = _stored_before(registry, tapes, symbol, int(opened[0]))
        if before is not None:
            opened = np.concatenate([[before[0]], opened])
            opens, closes = np.concatenate([[0], opens]), np.concatenate([[before[1]], closes])
        for at, ratio in _gaps(opened, opens, closes, tz):
            if (symbol, int(opened[at])) not in explained:
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


def _stored_before(registry: Registry, tapes: Sequence[Manifest], symbol: str, ts: int) -> tuple[int, int] | None:
    """(open time, close) of a symbol's last bar on a tape that ends before `ts`, the latest of them."""
    known = registry.find(symbol)
    found: tuple[int, int] | None = None
    for tape in tapes:
        for row in tape.instruments:
            if known is None or row.number != known.number or not row.bars or row.last_ts > ts:
                continue
            wanted = ("ts_init", "span", "close", "lag")
            for batch in bar_batches(tape.path, {row.number}, row.last_ts, row.last_ts, columns=wanted):
                opened = int((batch["ts_init"] - batch.get("lag", 0) - batch["span"])[-1])
                if found is None or opened > found[0]:
                    found = opened, int(batch["close"][-1])
    return found
