"""How much prices move, and channels as wide as that."""

import math
from typing import Any

from kernel.indicators.base import CLOSE, HLC3, MULTIPLE, WINDOW, Indicator, Number, OfBars, put
from kernel.indicators.rolling import (
    AVERAGE,
    WILDER,
    average,
    extreme_part,
    mean_of,
    moment_fields,
    set_average,
    slide_highest,
    slide_moments,
    true_range,
    variance_of,
    wilder,
)
from kernel.jit import jit_indicator


@jit_indicator
def _update_atr(m, bar):
    spread = bar.high - bar.low
    if m.count > 0:
        spread = true_range(bar, m.last)
    m.last = bar.close
    m.count += 1
    if m.count == 1:
        return
    if m.count <= m.period + 1:
        m.total += spread
        if m.count == m.period + 1:
            put(m, m.total / m.period)
    else:
        put(m, m.value + (spread - m.value) / m.period)


@jit_indicator
def next_range(m, bar):
    """Wilder's average of true ranges in `m.ranges`, whose first is the second bar's; NaN until warm."""
    last = m.last
    m.last = bar.close
    m.count += 1
    return wilder(m.ranges, true_range(bar, last)) if m.count > 1 else math.nan


@jit_indicator
def _update_natr(m, bar):
    spread = next_range(m, bar)
    if spread == spread:
        put(m, 100.0 * spread / bar.close if bar.close != 0.0 else 0.0)


@jit_indicator
def _update_bollinger(m, x):
    if x != x:
        return
    slide_moments(m, x)
    if m.count < m.period:
        return
    middle, reach = mean_of(m), m.multiple * math.sqrt(variance_of(m))
    put(m, middle)
    m.upper, m.lower = middle + reach, middle - reach
    m.percent = (x - m.lower) / (2.0 * reach) if reach > 0.0 else 0.5
    m.width = 2.0 * reach / middle if middle != 0.0 else 0.0


@jit_indicator
def _update_keltner(m, x, bar):
    spread = next_range(m, bar)
    if x != x:
        return
    middle = average(m.middles, x)
    if middle == middle and spread == spread:
        put(m, middle)
        m.upper, m.lower = middle + m.multiple * spread, middle - m.multiple * spread


@jit_indicator
def _update_donchian(m, bar):
    m.count += 1
    m.previous_upper, m.previous_lower = m.upper, m.lower
    high, low = slide_highest(m.highs, bar.high), -slide_highest(m.lows, -bar.low)
    if m.count >= m.period:
        put(m, (high + low) / 2.0)
        m.upper, m.lower = high, low


@jit_indicator
def _update_volatility(m, x):
    if x != x:
        return
    before = m.before
    m.before = x
    m.inputs += 1
    if m.inputs == 1:
        return
    slide_moments(m, math.log(x / before) if x > 0.0 and before > 0.0 else 0.0)
    if m.count >= m.period:
        put(m, math.sqrt(variance_of(m) * m.period / (m.period - 1) * m.bars_a_year))


class Atr(OfBars):
    """Average true range, in currency: Wilder's average of the larger of high - low and the distances from the close
    before. The first bar has none before it and does not count.

    Warm-up: period + 1. Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. TA-Lib: ATR.
    """

    update = staticmethod(_update_atr)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("total", "f8")]

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class Natr(OfBars):
    """Normalized average true range: 100 * Atr / close.

    Warm-up: period + 1. Source: J. Forman, Stocks & Commodities 24:5, 2006. TA-Lib: NATR.
    """

    update = staticmethod(_update_natr)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("ranges", WILDER)]

    def set_up(self, m: Any) -> None:
        m.ranges.period, m.ranges.value = m.period, math.nan

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class Bollinger(Indicator):
    """Bollinger bands: `value` is the mean of the last `period` inputs, `upper` and `lower` are `multiple` standard
    deviations (of the population) from it, `percent` is where the input is between them (0 to 1; 0.5 where they are
    one), `width` their distance by the mean.

    Warm-up: period. Source: J. Bollinger, Bollinger on Bollinger Bands, 2001. TA-Lib: BBANDS.
    """

    numbers = (WINDOW, MULTIPLE)
    outputs = ("upper", "lower", "percent", "width")
    update = staticmethod(_update_bollinger)

    def __init__(self, period: Any = 20, multiple: Any = 2.0, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period, multiple=multiple)

    def fields(self) -> list[tuple]:
        return moment_fields(self.room())


class Keltner(Indicator):
    """Keltner channels: `value` is the Ema of typical prices, `upper` and `lower` are `multiple` times the Atr over
    `atr_period` from it.

    Warm-up: max(period, atr_period + 1). Source: C. W. Keltner, How to Make Money in Commodities, 1960; with the Atr,
    L. B. Raschke, 1980s. TA-Lib: KC, whose
    true range counts the first bar; here it is EMA of the typical price and ATR.
    """

    numbers = (Number("period"), Number("atr_period"), MULTIPLE)
    outputs = ("upper", "lower")
    update = staticmethod(_update_keltner)

    def __init__(
        self, period: Any = 20, atr_period: Any = 10, multiple: Any = 2.0, source: str = HLC3, of: Any = None
    ) -> None:
        super().__init__(source, of, period=period, atr_period=atr_period, multiple=multiple)

    def inputs(self) -> list[Any]:
        return [*super().inputs(), "bar"]

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("middles", AVERAGE), ("ranges", WILDER)]

    def set_up(self, m: Any) -> None:
        set_average(m.middles, m.period)
        m.ranges.period, m.ranges.value = m.atr_period, math.nan

    def warm_up(self, n: Any, output: str = "value") -> int:
        return max(n.period, n.atr_period + 1)


class Donchian(Indicator):
    """Donchian channel: `upper` is the highest high and `lower` the lowest low of the last `period` bars, this one
    with them; `value` is halfway. `previous_upper` and `previous_lower` are those of the bar before: what a breakout
    breaks.

    Warm-up: period, and one more for the previous ones. Source: R. Donchian, Commodities Year Book, 1957. TA-Lib:
    DONCHIAN.
    """

    numbers = (WINDOW,)
    outputs = ("upper", "lower", "previous_upper", "previous_lower")
    update = staticmethod(_update_donchian)

    def __init__(self, period: Any = 20) -> None:
        super().__init__(period=period)

    def fields(self) -> list[tuple]:
        return [("highs", extreme_part(self.room())), ("lows", extreme_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.highs.period = m.lows.period = m.period

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + output.startswith("previous_")


class RealizedVolatility(Indicator):
    """Realised volatility a year: the standard deviation (of a sample) of the last `period` logarithmic returns,
    times the root of `bars_a_year`. An input that is not positive counts as no return.

    Warm-up: period + 1. Source: J. C. Hull, Options, Futures, and Other Derivatives, chapter on Black-Scholes-Merton.
    """

    numbers = (Number("period", 2, window=True), Number("bars_a_year", 0.0, 1e9, whole=False))
    update = staticmethod(_update_volatility)

    def __init__(self, period: Any = 20, bars_a_year: Any = 252.0, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period, bars_a_year=bars_a_year)

    def fields(self) -> list[tuple]:
        return [("inputs", "i8"), ("before", "f8"), *moment_fields(self.room())]

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1
