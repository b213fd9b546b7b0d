"""A market as it was up to a time, and after it another one: where the recorded prices rose, these fall as much."""

import numpy as np

from kernel.codes import Kind
from kernel.ports import Feed

BAR, QUOTE, TRADE = int(Kind.BAR), int(Kind.QUOTE), int(Kind.TRADE)
MOST = 2.0**44  # price units and shares; far from what the kernel refuses
SWAPPED = {  # kind: (field, the field whose mirror image it becomes)
    BAR: (("open", "open"), ("high", "low"), ("low", "high"), ("close", "close")),
    QUOTE: (("bid_px", "ask_px"), ("ask_px", "bid_px")),
    TRADE: (("trade_px", "trade_px"),),
}
LAST = {BAR: "close", QUOTE: "bid_px", TRADE: "trade_px"}


class OtherMarket:
    """A feed of bars and ticks that are others after `real_until`, ns UTC: a price p is a * a / p there, rounded to the
    instrument's tick, where a is its last price before; volumes likewise. Highs and lows, bids and asks change places.

    `ticks`: the smallest price step of each instrument, in units.
    """

    def __init__(self, feed: Feed, real_until: int, ticks: list[int]) -> None:
        self._feed, self._until = feed, real_until
        self._ticks = np.maximum(np.array(ticks, np.int64), 1)
        self._prices, self._volumes = np.zeros(len(ticks)), np.zeros(len(ticks))

    def read_into(self, records: np.ndarray) -> int:
        """As the feed behind it."""
        count = self._feed.read_into(records)
        rows = records[:count]
        cut = int(np.searchsorted(rows["ts_init"], self._until, "right"))
        for kind, fields in SWAPPED.items():
            places = np.flatnonzero(rows["kind"] == kind)
            real, others = places[places < cut], places[places >= cut]
            self._learn(rows, real, kind)
            fresh, first = np.unique(rows["instrument"][others], return_index=True)
            unknown = self._prices[fresh] == 0
            self._learn(rows, others[first[unknown]], kind)
            if len(others):
                self._change(rows, others, kind, fields)
        return count

    def _learn(self, rows: np.ndarray, places: np.ndarray, kind: int) -> None:
        """The last price and volume of each instrument."""
        number = rows["instrument"][places]
        self._prices[number] = rows[LAST[kind]][places]
        if kind == BAR:
            self._volumes[number] = rows["volume"][places]

    def _change(self, rows: np.ndarray, places: np.ndarray, kind: int, fields: tuple[tuple[str, str], ...]) -> None:
        number = rows["instrument"][places]
        step = self._ticks[number]
        before = {source: rows[source][places].astype(np.int64) for _, source in fields}
        for name, source in fields:
            wanted = _mirrored(before[source], self._prices[number])
            rows[name][places] = np.where(before[source] > 0, np.maximum(wanted // step * step, step), before[source])
        if kind == BAR:
            volume = rows["volume"][places].astype(np.int64)
            rows["volume"][places] = np.where(volume > 0, np.maximum(_mirrored(volume, self._volumes[number]), 1), 0)


def _mirrored(values: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Whole numbers around * around / value, at most MOST."""
    safe = np.maximum(values, 1)
    image: np.ndarray = np.floor(np.minimum(around * (around / safe), MOST)).astype(np.int64)
    return image
