"""Bars of a feed made into one a day for each instrument, available when its local day is over and not before.

What opened it is of its first bar, the close and open interest of its last; volumes add up. `ts_init` is the last
nanosecond of the day, so that no day is seen before it is whole.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from adapters.market.zones import DAY, to_local, to_utc
from kernel.codes import Flag, Kind
from kernel.ports import Feed
from kernel.schema import EVENT, take_rows

BATCH_ROWS = 65_536
NEVER = 2**63 - 1
BAR = int(Kind.BAR)
TAKEN = (BAR, int(Kind.SPLIT), int(Kind.DIVIDEND))


class DailyFeed:
    """The same feed in days. `zones` are of the instruments by number; a day that ends after `last_ts` (ns UTC) is not
    over and has no bar. Splits and dividends come when they come, other inputs than those and bars are left out."""

    def __init__(self, feed: Feed, zones: Sequence[str], last_ts: int | None) -> None:
        self._feed, self._last_ts = feed, NEVER if last_ts is None else last_ts
        self._names = sorted(set(zones))
        self._zone = np.array([self._names.index(name) for name in zones], np.int64)
        self._days = np.zeros(len(zones), EVENT)  # of each instrument the day that is being made
        self._ends = np.full(len(zones), NEVER, np.int64)  # when it is over, NEVER where there is none
        self._rows = np.zeros(BATCH_ROWS, EVENT)
        self._ready: deque[np.ndarray] = deque()
        self._over = False

    def read_into(self, records: np.ndarray) -> int:
        """Fill the table from its start; how many, 0 at the end."""
        filled = 0
        while filled < len(records) and (self._ready or self._more()):
            part = self._ready.popleft()
            taken = min(len(part), len(records) - filled)
            records[filled : filled + taken] = part[:taken]
            filled += taken
            if taken < len(part):
                self._ready.appendleft(part[taken:])
        return filled

    def _more(self) -> bool:
        """Have something ready; False at the end."""
        while not self._ready and not self._over:
            count = self._feed.read_into(self._rows)
            if count == 0:
                self._over = True
                self._give(self._last_ts)
            else:
                self._take(self._rows[:count])
        return bool(self._ready)

    def _take(self, rows: np.ndarray) -> None:
        """Add rows in order of time; before the first that comes after a day is over, that day's bars are ready."""
        kinds, start = rows["kind"], 0
        bar, wanted = kinds == BAR, np.isin(kinds, TAKEN)
        if not wanted.all():
            rows, bar = take_rows(rows, np.flatnonzero(wanted)), bar[wanted]
        ts, ends = rows["ts_init"], self._ends_of(rows, bar)
        while start < len(rows):
            first = np.minimum(np.minimum.accumulate(ends[start:]), self._ends.min(initial=NEVER))
            late = ts[start:] > first
            stop = start + int(np.argmax(late)) if late.any() else len(rows)
            part = slice(start, stop)
            if not bar[part].all():
                self._ready.append(take_rows(rows, start + np.flatnonzero(~bar[part])))
            self._add(rows, start + np.flatnonzero(bar[part]), ends)
            if stop < len(rows):
                self._give(int(ts[stop]) - 1)
            start = stop

    def _ends_of(self, rows: np.ndarray, bar: np.ndarray) -> np.ndarray:
        """When the local day of each bar is over, ns UTC; NEVER of what is no bar."""
        moments, place = np.unique(rows["ts_init"], return_inverse=True)
        ends, zones = np.full(len(rows), NEVER, np.int64), self._zone[rows["instrument"]]
        for code, name in enumerate(self._names):
            here = bar & (zones == code)
            if here.any():
                day_ends = to_utc((to_local(moments, name) // DAY + 1) * DAY, name)[0] - 1
                ends[here] = day_ends[place[here]]
        return ends

    def _add(self, rows: np.ndarray, bars: np.ndarray, ends: np.ndarray) -> None:
        """Take `bars`, places in `rows`, into the days that are being made: no instrument has two days among them."""
        if not len(bars):
            return
        bars = bars[np.argsort(rows["instrument"][bars], kind="stable")]
        number = rows["instrument"][bars]
        first = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
        last = bars[np.append(first[1:], len(bars)) - 1]
        at, days = number[first], self._days
        new = self._ends[at] == NEVER
        days[at[new]] = rows[bars[first[new]]]
        self._ends[at] = ends[bars[first]]
        days["high"][at] = np.maximum(days["high"][at], np.maximum.reduceat(rows["high"][bars], first))
        days["low"][at] = np.minimum(days["low"][at], np.minimum.reduceat(rows["low"][bars], first))
        volume = np.add.reduceat(rows["volume"][bars], first)
        days["volume"][at] = np.where(new, volume, days["volume"][at] + volume)
        for name in ("close", "open_interest", "ts_event"):
            days[name][at] = rows[name][last]

    def _give(self, ts: int) -> None:
        """The bars of days that are over by `ts`, a slice of each moment."""
        due = np.flatnonzero((self._ends != NEVER) & (self._ends <= ts))
        for end in np.unique(self._ends[due]).tolist():
            made = take_rows(self._days, due[self._ends[due] == end])
            made["ts_init"], made["flags"] = end, 0
            made["flags"][-1] = int(Flag.SLICE_END)
            self._ready.append(made)
        self._ends[due] = NEVER
