"""Statistics of the last inputs: extremes, quantiles, lines through them, how two go together."""

import math
from typing import Any

from kernel.indicators.base import CLOSE, HIGH, LOW, SOURCES, Indicator, Number, OfWindow, as_input, put
from kernel.indicators.rolling import (
    extreme_part,
    highest_age,
    mean_of,
    moment_fields,
    slide_highest,
    slide_moments,
    variance_of,
)
from kernel.jit import jit_indicator

TWO = Number("period", 2, window=True)


@jit_indicator
def _update_regression(m, x):
    if x != x:
        return
    slide_moments(m, x)
    if m.place == 0:  # a round is over: add up anew
        weighted = 0.0
        for k in range(m.period):
            weighted += k * (m.window[k] - m.shift)
        m.weighted = weighted
    else:
        m.weighted += m.period * (x - m.shift) - m.total
    if m.count < m.period:
        return
    places, spread = 0.5 * (m.period - 1), (m.period * m.period - 1) / 12.0  # mean and variance of 0 .. period - 1
    variance = variance_of(m)
    m.slope = (m.weighted - places * m.total) / m.period / spread if variance > 0.0 else 0.0
    m.r2 = min(1.0, m.slope * m.slope * spread / variance) if variance > 0.0 else 0.0
    put(m, mean_of(m) + m.slope * places)


@jit_indicator
def _update_zscore(m, x):
    if x != x:
        return
    slide_moments(m, x)
    if m.count >= m.period:
        deviation = math.sqrt(variance_of(m))
        put(m, (x - mean_of(m)) / deviation if deviation > 0.0 else 0.0)


@jit_indicator
def _update_highest(m, x):
    if x != x:
        return
    m.count += 1
    highest = slide_highest(m.queue, x)
    if m.count >= m.period:
        m.age = highest_age(m.queue)
        put(m, highest)


@jit_indicator
def _update_lowest(m, x):
    if x != x:
        return
    m.count += 1
    lowest = -slide_highest(m.queue, -x)
    if m.count >= m.period:
        m.age = highest_age(m.queue)
        put(m, lowest)


@jit_indicator
def _update_quantile(m, x):
    """The window twice: in order of time, and sorted. The new input moves to the place of the one that goes."""
    if x != x:
        return
    place = m.period if m.count < m.period else m.period - 1
    if m.count < m.period:
        place = m.count
    else:
        oldest = m.window[m.place]
        low, high = 0, m.period - 1
        while low < high:
            middle = (low + high) // 2
            if m.ordered[middle] < oldest:
                low = middle + 1
            else:
                high = middle
        place = low
    last = min(m.count, m.period - 1)
    while place > 0 and m.ordered[place - 1] > x:
        m.ordered[place] = m.ordered[place - 1]
        place -= 1
    while place < last and m.ordered[place + 1] < x:
        m.ordered[place] = m.ordered[place + 1]
        place += 1
    m.ordered[place] = x
    m.window[m.place] = x
    m.place = m.place + 1 if m.place + 1 < m.period else 0
    m.count += 1
    if m.count >= m.period:
        at = m.quantile * (m.period - 1)
        below = min(int(at), m.period - 1)
        above = min(below + 1, m.period - 1)
        put(m, m.ordered[below] + (at - below) * (m.ordered[above] - m.ordered[below]))


@jit_indicator
def _slide_pair(m, x, y):
    """Take two inputs into sums around a level near each, as `slide_moments` does of one."""
    m.same_x = m.same_x + 1 if x == m.last_x and m.pairs > 0 else 1
    m.same_y = m.same_y + 1 if y == m.last_y and m.pairs > 0 else 1
    m.last_x, m.last_y = x, y
    old_x, old_y = m.xs[m.place], m.ys[m.place]
    m.xs[m.place], m.ys[m.place] = x, y
    m.pairs += 1
    m.place += 1
    if m.pairs == 1:
        m.shift_x, m.shift_y = x, y
    if m.place == m.period:
        m.place, m.shift_x, m.shift_y = 0, x, y
        m.sum_x = m.sum_y = m.sum_xx = m.sum_yy = m.sum_xy = 0.0
        for k in range(m.period):
            _add(m, m.xs[k], m.ys[k], 1.0)
        return
    _add(m, x, y, 1.0)
    if m.pairs > m.period:
        _add(m, old_x, old_y, -1.0)


@jit_indicator
def _add(m, x, y, sign):
    x, y = x - m.shift_x, y - m.shift_y
    m.sum_x += sign * x
    m.sum_y += sign * y
    m.sum_xx += sign * (x * x)
    m.sum_yy += sign * (y * y)
    m.sum_xy += sign * (x * y)


@jit_indicator
def _spread(m, xy, x, y):
    """The covariance of two of the sums, or a variance."""
    return xy / m.period - x / m.period * (y / m.period)


@jit_indicator
def _update_correlation(m, x, y):
    if x != x or y != y:
        return
    m.count += 1
    _slide_pair(m, x, y)
    if m.pairs < m.period:
        return
    both = _spread(m, m.sum_xx, m.sum_x, m.sum_x) * _spread(m, m.sum_yy, m.sum_y, m.sum_y)
    still = m.same_x >= m.period or m.same_y >= m.period or not both > 0.0
    found = 0.0 if still else _spread(m, m.sum_xy, m.sum_x, m.sum_y) / math.sqrt(both)
    put(m, max(-1.0, min(1.0, found)))


@jit_indicator
def _update_beta(m, x, y):
    if x != x or y != y:
        return
    m.count += 1
    before_x, before_y = m.before_x, m.before_y
    m.before_x, m.before_y = x, y
    if m.count == 1:
        return
    _slide_pair(m, x / before_x - 1.0 if before_x != 0.0 else 0.0, y / before_y - 1.0 if before_y != 0.0 else 0.0)
    if m.pairs >= m.period:
        spread = _spread(m, m.sum_yy, m.sum_y, m.sum_y)
        still = m.same_y >= m.period or not spread > 0.0
        put(m, 0.0 if still else _spread(m, m.sum_xy, m.sum_x, m.sum_y) / spread)


class LinearRegression(Indicator):
    """The least-squares line through the last `period` inputs: `value` is where it ends, at this input, `slope` how
    much it rises with each, `r2` the share of their variance it explains (0 where there is none).

    Warm-up: period. Source: C. F. Gauss, Theoria motus, 1809. TA-Lib: LINEARREG, LINEARREG_SLOPE, CORREL squared.
    """

    numbers = (TWO,)
    outputs = ("slope", "r2")
    update = staticmethod(_update_regression)

    def __init__(self, period: Any = 14, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period)

    def fields(self) -> list[tuple]:
        return [*moment_fields(self.room()), ("weighted", "f8")]


class ZScore(Indicator):
    """How many standard deviations (of the population) the input is from the mean of the last `period`, itself with
    them; 0 where they are all equal.

    Warm-up: period. Source: K. Pearson, Philosophical Transactions A 185, 1894. TA-Lib: (x - SMA) / STDDEV.
    """

    numbers = (TWO,)
    update = staticmethod(_update_zscore)

    def __init__(self, period: Any = 20, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period)

    def fields(self) -> list[tuple]:
        return moment_fields(self.room())


class Highest(OfWindow):
    """The highest of the last `period` inputs, and `age`, how many ago it was; of equals the most recent. A monotone
    queue: a few steps an input, whatever the period.

    Warm-up: period. Source: D. Lemire, Streaming maximum-minimum filter, Nordic Journal of Computing 13:4, 2006.
    TA-Lib: MAX.
    """

    outputs = ("age",)
    update = staticmethod(_update_highest)

    def __init__(self, period: Any = 20, source: str = HIGH, of: Any = None) -> None:
        super().__init__(period, source, of)

    def fields(self) -> list[tuple]:
        return [("queue", extreme_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.queue.period = m.period


class Lowest(Highest):
    """The lowest of the last `period` inputs, and `age`, how many ago it was; of equals the most recent.

    Warm-up: period. Source: D. Lemire, Streaming maximum-minimum filter, Nordic Journal of Computing 13:4, 2006.
    TA-Lib: MIN.
    """

    update = staticmethod(_update_lowest)

    def __init__(self, period: Any = 20, source: str = LOW, of: Any = None) -> None:
        super().__init__(period, source, of)


class Quantile(Indicator):
    """The `quantile` (0 to 1; 0.5 is the median) of the last `period` inputs, between two of them in proportion. A
    step moves at most `period` numbers.

    Warm-up: period. Source: R. Hyndman and Y. Fan, Sample quantiles in statistical packages, 1996, definition 7.
    TA-Lib: PERCENTILE.
    """

    numbers = (Number("period", window=True), Number("quantile", 0.0, 1.0, whole=False))
    update = staticmethod(_update_quantile)

    def __init__(self, period: Any = 20, quantile: Any = 0.5, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period, quantile=quantile)

    def fields(self) -> list[tuple]:
        return [("place", "i8"), ("window", "f8", (self.room(),)), ("ordered", "f8", (self.room(),))]


class Correlation(Indicator):
    """Pearson's correlation of two inputs over the last `period`, -1 to 1; 0 where one of them does not move.
    `against` is a source or an indicator declared above.

    Warm-up: period. Source: K. Pearson, Proceedings of the Royal Society 58, 1895. TA-Lib: CORREL.
    """

    numbers = (TWO,)
    update = staticmethod(_update_correlation)

    def __init__(self, period: Any = 30, against: Any = None, source: str = CLOSE, of: Any = None) -> None:
        if against is None or (isinstance(against, str) and against not in SOURCES):
            raise ValueError("against is one of OPEN .. OHLC4, or an indicator declared above")
        super().__init__(source, of, period=period)
        self.against = against

    def inputs(self) -> list[Any]:
        against = self.against
        return [*super().inputs(), against if isinstance(against, str) else as_input(against, "")]

    def fields(self) -> list[tuple]:
        wholes = [(name, "i8") for name in ("place", "pairs", "same_x", "same_y")]
        floats = [f"{name}_{of}" for name in ("last", "shift", "before", "sum") for of in ("x", "y")]
        floats += ["sum_xx", "sum_yy", "sum_xy"]
        rings = [(name, "f8", (self.room(),)) for name in ("xs", "ys")]
        return [*wholes, *((name, "f8") for name in floats), *rings]


class Beta(Correlation):
    """Beta of the input to `against`, a source or an indicator declared above: the covariance of their returns over
    the last `period`, by the variance of the latter's; 0 where that does not move, and a return from 0 is 0.

    Warm-up: period + 1. Source: W. F. Sharpe, Journal of Finance 19:3, 1964. TA-Lib: BETA(against, input).
    """

    update = staticmethod(_update_beta)

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1
