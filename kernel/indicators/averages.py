"""Moving averages. Seeding follows TA-Lib: a recursive average begins with the simple mean of its first inputs."""

import math
from typing import Any

from kernel.indicators.base import CLOSE, VOLUME, WINDOW, Indicator, Number, OfSource, OfWindow, put
from kernel.indicators.rolling import (
    AVERAGE,
    average,
    next_average,
    set_average,
    slide_sum,
    sum_part,
    weighted_mean,
)
from kernel.jit import jit_indicator


@jit_indicator
def _update_ema(m, x):
    if x == x:
        put(m, next_average(m, x))


@jit_indicator
def _update_sma(m, x):
    if x != x:
        return
    place = m.count % m.period
    oldest = m.window[place]
    m.window[place] = x
    m.count += 1
    if place == m.period - 1:  # add up anew once a round: what floats lose does not pile up
        total = 0.0
        for k in range(m.period):
            total += m.window[k]
        m.total = total
    elif m.count > m.period:
        m.total += x - oldest
    if m.count >= m.period:
        put(m, m.total / m.period)


@jit_indicator
def _update_wma(m, x):
    if x == x:
        m.count += 1
        put(m, weighted_mean(m.sums, x))


@jit_indicator
def _update_dema(m, x):
    if x != x:
        return
    m.count += 1
    once = average(m.once, x)
    if once == once:
        put(m, 2.0 * once - average(m.twice, once))


@jit_indicator
def _update_tema(m, x):
    if x != x:
        return
    m.count += 1
    once = average(m.once, x)
    if once != once:
        return
    twice = average(m.twice, once)
    if twice == twice:
        put(m, 3.0 * once - 3.0 * twice + average(m.thrice, twice))


@jit_indicator
def _update_hma(m, x):
    if x != x:
        return
    m.count += 1
    half, full = weighted_mean(m.half, x), weighted_mean(m.full, x)
    if full == full:
        put(m, weighted_mean(m.last, 2.0 * half - full))


@jit_indicator
def _update_kama(m, x):
    if x != x:
        return
    before = m.window[m.place]  # the input `period` ago
    change = abs(x - m.last) if m.count > 0 else 0.0
    m.last = x
    m.window[m.place] = x
    m.place = m.place + 1 if m.place + 1 < m.period else 0
    m.count += 1
    if m.count == 1:
        return
    path = slide_sum(m.changes, change)
    if m.count <= m.period:
        m.average = x  # the one before the first value begins the average
        return
    move = abs(x - before)
    ratio = move / path if path > move else 1.0
    speed = ratio * (m.fastest - m.slowest) + m.slowest
    m.average += (x - m.average) * speed * speed
    put(m, m.average)


@jit_indicator
def _update_vwma(m, x, volume):
    if x != x:
        return
    m.count += 1
    value, traded = slide_sum(m.values, x * volume), slide_sum(m.volumes, volume)
    if m.count >= m.period:
        put(m, value / traded if traded > 0.0 else math.nan)


class Ema(OfSource):
    """Exponential moving average: ema += alpha * (x - ema), alpha = 2 / (period + 1).

    Warm-up: period. Source: R. G. Brown, Exponential Smoothing for Predicting Demand, 1956. TA-Lib: EMA.
    """

    update = staticmethod(_update_ema)

    def fields(self) -> list[tuple]:
        return [("alpha", "f8"), ("total", "f8")]

    def set_up(self, m: Any) -> None:
        m.alpha = 2.0 / (m.period + 1)


class Sma(OfWindow):
    """Simple moving average: the mean of the last `period` inputs.

    Warm-up: period. Source: R. D. Edwards and J. Magee, Technical Analysis of Stock Trends, 1948. TA-Lib: SMA.
    """

    update = staticmethod(_update_sma)

    def fields(self) -> list[tuple]:
        return [("total", "f8"), ("window", "f8", (self.room(),))]


class Wma(OfWindow):
    """Linearly weighted moving average: the newest input counts `period` times, the oldest once.

    Warm-up: period. Source: P. J. Kaufman, Trading Systems and Methods, 1978. TA-Lib: WMA.
    """

    update = staticmethod(_update_wma)

    def fields(self) -> list[tuple]:
        return [("sums", sum_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.sums.period = m.period


class Dema(OfSource):
    """Double exponential moving average: 2 * e1 - e2, e1 the Ema and e2 the Ema of e1.

    Warm-up: 2 * period - 1. Source: P. Mulloy, Stocks & Commodities 12:1, 1994. TA-Lib: DEMA.
    """

    update = staticmethod(_update_dema)

    def fields(self) -> list[tuple]:
        return [("once", AVERAGE), ("twice", AVERAGE)]

    def set_up(self, m: Any) -> None:
        for a in (m.once, m.twice):
            set_average(a, m.period)

    def warm_up(self, n: Any, output: str = "value") -> int:
        return 2 * n.period - 1


class Tema(OfSource):
    """Triple exponential moving average: 3 * e1 - 3 * e2 + e3, each the Ema of the one before.

    Warm-up: 3 * period - 2. Source: P. Mulloy, Stocks & Commodities 12:1, 1994. TA-Lib: TEMA.
    """

    update = staticmethod(_update_tema)

    def fields(self) -> list[tuple]:
        return [("once", AVERAGE), ("twice", AVERAGE), ("thrice", AVERAGE)]

    def set_up(self, m: Any) -> None:
        for a in (m.once, m.twice, m.thrice):
            set_average(a, m.period)

    def warm_up(self, n: Any, output: str = "value") -> int:
        return 3 * n.period - 2


class Hma(OfWindow):
    """Hull moving average: Wma(root) of 2 * Wma(half) - Wma(period), half and root of the period cut to whole
    numbers.

    Warm-up: period + isqrt(period) - 1. Source: A. Hull, Active Investing, 2005. TA-Lib: HMA.
    """

    numbers = (Number("period", 2, window=True),)
    update = staticmethod(_update_hma)

    def fields(self) -> list[tuple]:
        full = self.room()
        rooms = {"half": max(1, full // 2), "full": full, "last": math.isqrt(full)}
        return [(name, sum_part(room)) for name, room in rooms.items()]

    def set_up(self, m: Any) -> None:
        period = int(m.period)
        m.half.period, m.full.period, m.last.period = period // 2, period, math.isqrt(period)

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + math.isqrt(n.period) - 1


class Kama(Indicator):
    """Kaufman's adaptive moving average: an exponential one whose alpha is (e * (f - s) + s) ** 2, with e the move
    over `period` inputs by the path walked, f = 2 / (fast + 1), s = 2 / (slow + 1).

    Warm-up: period + 1. Source: P. J. Kaufman, Smarter Trading, 1995. TA-Lib: KAMA.
    """

    numbers = (WINDOW, Number("fast"), Number("slow"))
    update = staticmethod(_update_kama)

    def __init__(self, period: Any, fast: Any = 2, slow: Any = 30, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period, fast=fast, slow=slow)

    def fields(self) -> list[tuple]:
        floats = [(name, "f8") for name in ("last", "average", "fastest", "slowest")]
        return [("place", "i8"), *floats, ("changes", sum_part(self.room())), ("window", "f8", (self.room(),))]

    def set_up(self, m: Any) -> None:
        m.changes.period, m.fastest, m.slowest = m.period, 2.0 / (m.fast + 1), 2.0 / (m.slow + 1)

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class Vwma(OfWindow):
    """Volume-weighted moving average: the sum of x * volume by the sum of volume; NaN where nothing was traded.

    Warm-up: period. Source: B. Dormeier, Stocks & Commodities 19:2, 2001. TA-Lib: VWMA.
    """

    update = staticmethod(_update_vwma)

    def inputs(self) -> list[Any]:
        return [*super().inputs(), VOLUME]

    def fields(self) -> list[tuple]:
        return [("values", sum_part(self.room())), ("volumes", sum_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.values.period = m.volumes.period = m.period
