"""What begins anew with every trading day, `bar.session`: average price, pivots, opening range."""

import math
from typing import Any

from kernel.indicators.base import HLC3, Indicator, Number, put
from kernel.jit import jit_indicator

MINUTE = 60_000_000_000


@jit_indicator
def _update_vwap(m, x, bar):
    if x != x:
        return
    if m.count == 0 or bar.session != m.session:
        m.session, m.shift = bar.session, x
        m.volume = m.total = m.squares = 0.0
    m.count += 1
    off = x - m.shift  # sums around the day's first price: squares of whole prices would eat the differences
    m.volume += bar.volume
    m.total += off * bar.volume
    m.squares += off * off * bar.volume
    if m.volume > 0.0:
        mean = m.total / m.volume
        spread = m.squares / m.volume - mean * mean
        m.deviation = math.sqrt(spread) if spread > 0.0 else 0.0
        put(m, m.shift + mean)
    else:
        m.deviation = math.nan
        put(m, math.nan)
    m.upper, m.lower = m.value + m.multiple * m.deviation, m.value - m.multiple * m.deviation


@jit_indicator
def _update_pivots(m, bar):
    if m.count == 0 or bar.session != m.session:
        if m.count > 0:
            spread, m.pivot = m.high - m.low, (m.high + m.low + m.close) / 3.0
            m.r1, m.s1 = 2.0 * m.pivot - m.low, 2.0 * m.pivot - m.high
            m.r2, m.s2 = m.pivot + spread, m.pivot - spread
            m.r3, m.s3 = m.high + 2.0 * (m.pivot - m.low), m.low - 2.0 * (m.high - m.pivot)
        m.session, m.high, m.low = bar.session, bar.high, bar.low
    m.count += 1
    m.high, m.low, m.close = max(m.high, bar.high), min(m.low, bar.low), bar.close
    put(m, m.pivot)


@jit_indicator
def _update_opening(m, bar):
    if m.count == 0 or bar.session != m.session:
        m.session, m.opened, m.bars, m.told = bar.session, bar.ts_open, 0, 0
        m.upper = m.lower = math.nan
    m.count += 1
    if m.told == 0 and bar.session_open > 0:  # the calendar knows when it opened: bars before that do not count
        m.opened, m.bars, m.told = bar.session_open, 0, 1
        m.upper = m.lower = math.nan
    ends = m.opened + m.minutes * MINUTE
    if m.opened <= bar.ts_open < ends:
        m.high = bar.high if m.bars == 0 else max(m.high, bar.high)
        m.low = bar.low if m.bars == 0 else min(m.low, bar.low)
        m.bars += 1
    if bar.ts >= ends and m.bars > 0:
        m.upper, m.lower = m.high, m.low
    put(m, (m.upper + m.lower) / 2.0)


class Vwap(Indicator):
    """Volume-weighted average price of the session so far, over typical prices, and bands `multiple` volume-weighted
    standard deviations (`deviation`) from it: the sum of x * volume by that of volume. NaN while nothing was traded.

    Warm-up: 1. Source: S. Berkowitz, D. Logue and E. Noser, Journal of Finance 43:1, 1988. TA-Lib: VWAP over one
    session.
    """

    numbers = (Number("multiple", 0.0, 1e6, whole=False),)
    outputs = ("upper", "lower", "deviation")
    sessions = True
    update = staticmethod(_update_vwap)

    def __init__(self, multiple: Any = 2.0, source: str = HLC3, of: Any = None) -> None:
        super().__init__(source, of, multiple=multiple)

    def inputs(self) -> list[Any]:
        return [*super().inputs(), "bar"]

    def fields(self) -> list[tuple]:
        return [("session", "i8"), *((name, "f8") for name in ("shift", "volume", "total", "squares"))]


class Pivots(Indicator):
    """Floor pivots from high, low and close of the session before: `value` (H + L + C) / 3 = P; `r1` 2P - L, `s1` 2P
    - H; `r2` P + (H - L), `s2` P - (H - L); `r3` H + 2 (P - L), `s3` L - 2 (H - P).

    Warm-up: 1, but NaN during the first session. Source: J. Person, A Complete Guide to Technical Trading Tactics,
    2004.
    """

    outputs = ("r1", "s1", "r2", "s2", "r3", "s3")
    sessions = True
    update = staticmethod(_update_pivots)

    def __init__(self) -> None:
        super().__init__()

    def fields(self) -> list[tuple]:
        return [("session", "i8"), *((name, "f8") for name in ("pivot", "high", "low", "close"))]

    def set_up(self, m: Any) -> None:
        m.pivot = math.nan


class OpeningRange(Indicator):
    """Opening range: `upper` and `lower` are the high and low of the bars that open in the first `minutes` of the
    session, `value` is halfway. NaN until the range is over, so that no comparison holds before. The session opens
    when its calendar says, or where the run has none, with its first bar.

    Warm-up: 1, but NaN until the range is over. Source: T. Crabel, Day Trading with Short Term Price Patterns and
    Opening Range Breakout, 1990.
    """

    numbers = (Number("minutes", 1, 1440),)
    outputs = ("upper", "lower")
    sessions = True
    update = staticmethod(_update_opening)

    def __init__(self, minutes: Any = 15) -> None:
        super().__init__(minutes=minutes)

    def fields(self) -> list[tuple]:
        return [*((name, "i8") for name in ("session", "opened", "bars", "told")), ("high", "f8"), ("low", "f8")]
