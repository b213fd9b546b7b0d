"""Oscillators: how far and how fast prices went. Where nothing moved, those with a scale say its middle."""

from typing import Any

from kernel.indicators.base import CLOSE, HLC3, WINDOW, Indicator, Number, OfSource, OfWindow, put
from kernel.indicators.rolling import (
    AVERAGE,
    average,
    extreme_part,
    set_average,
    share,
    slide_highest,
    slide_sum,
    sum_part,
)
from kernel.jit import jit_indicator

NOISE = 1e-9  # of an Rsi: while prices stand still it stays where it is but for the last bits


@jit_indicator
def _update_rsi(m, x):
    if x != x:
        return
    change = x - m.last
    m.last = x
    m.count += 1
    if m.count == 1:
        return
    gain = change if change > 0.0 else 0.0
    loss = -change if change < 0.0 else 0.0
    if m.count <= m.period + 1:
        m.gain += gain / m.period
        m.loss += loss / m.period
        if m.count <= m.period:
            return
    else:
        m.gain += (gain - m.gain) / m.period
        m.loss += (loss - m.loss) / m.period
    put(m, share(m.gain, m.gain + m.loss))


@jit_indicator
def _update_macd(m, x):
    if x != x:
        return
    m.count += 1
    slow = average(m.long, x)
    if m.count <= m.slow - m.fast:  # both begin with the same input
        return
    fast = average(m.short, x)
    if slow == slow:
        signal = average(m.smooth, fast - slow)
        if signal == signal:
            put(m, fast - slow)
            m.signal, m.histogram = signal, m.value - signal


@jit_indicator
def _smooth(m, raw):
    """A raw %K into the two averages that are shown; only once both are there."""
    value = slide_sum(m.raw, raw) / m.smooth
    if m.raw.count < m.smooth:
        return
    signal = slide_sum(m.smoothed, value) / m.signal_period
    if m.smoothed.count >= m.signal_period:
        put(m, value)
        m.signal = signal


@jit_indicator
def _update_stochastic(m, bar):
    m.count += 1
    high, low = slide_highest(m.highs, bar.high), -slide_highest(m.lows, -bar.low)
    if m.count >= m.period:
        _smooth(m, share(bar.close - low, high - low))


@jit_indicator
def _update_stoch_rsi(m, x):
    if x != x:
        return
    _update_rsi(m.rsi, x)
    m.count += 1
    rsi = m.rsi.value
    if m.count <= m.period:
        return
    high, low = slide_highest(m.highs, rsi), -slide_highest(m.lows, -rsi)
    if m.count >= m.period + m.window:
        _smooth(m, share(rsi - low, high - low) if high - low > NOISE else 50.0)


@jit_indicator
def _update_cci(m, x):
    if x != x:
        return
    m.count += 1
    total = slide_sum(m.sums, x)
    if m.count < m.period:
        return
    mean, away = total / m.period, 0.0
    for k in range(m.period):
        away += abs(m.sums.window[k] - mean)
    put(m, (x - mean) / (0.015 * (away / m.period)) if away > 0.0 and x != mean else 0.0)


@jit_indicator
def _update_williams(m, bar):
    m.count += 1
    high, low = slide_highest(m.highs, bar.high), -slide_highest(m.lows, -bar.low)
    if m.count >= m.period:
        put(m, -share(high - bar.close, high - low))


@jit_indicator
def _before(m, x):
    """The input `period` ago, in whose place `x` comes; `count` says whether there is one."""
    before = m.window[m.place]
    m.window[m.place] = x
    m.place = m.place + 1 if m.place + 1 < m.period else 0
    m.count += 1
    return before


@jit_indicator
def _update_roc(m, x):
    if x != x:
        return
    before = _before(m, x)
    if m.count > m.period:
        put(m, 100.0 * (x / before - 1.0) if before != 0.0 else 0.0)


@jit_indicator
def _update_momentum(m, x):
    if x != x:
        return
    before = _before(m, x)
    if m.count > m.period:
        put(m, x - before)


class Rsi(OfSource):
    """Relative strength index: 100 * gain / (gain + loss), Wilder's averages of rises and of falls; 50 when nothing
    moved.

    Warm-up: period + 1. Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. TA-Lib: RSI, which is
    0 when nothing moved.
    """

    update = staticmethod(_update_rsi)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("gain", "f8"), ("loss", "f8")]

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class Macd(Indicator):
    """Moving average convergence divergence: `value` is Ema(fast) - Ema(slow), `signal` the Ema of it over
    `signal_period`, `histogram` their difference. Both averages begin with the same input, as in TA-Lib.

    Warm-up: slow + signal_period - 1. Source: G. Appel, The Moving Average Convergence-Divergence Method, 1979.
    TA-Lib: MACD, which swaps the two when fast is not below slow; here that is refused.
    """

    numbers = (Number("fast"), Number("slow", 2), Number("signal_period"))
    outputs = ("signal", "histogram")
    update = staticmethod(_update_macd)

    def __init__(
        self, fast: Any = 12, slow: Any = 26, signal_period: Any = 9, source: str = CLOSE, of: Any = None
    ) -> None:
        super().__init__(source, of, fast=fast, slow=slow, signal_period=signal_period)

    def fields(self) -> list[tuple]:
        return [("short", AVERAGE), ("long", AVERAGE), ("smooth", AVERAGE)]

    def set_up(self, m: Any) -> None:
        if m.fast >= m.slow:
            raise ValueError(f"fast is below slow, not {m.fast} with {m.slow}")
        for a, period in ((m.short, m.fast), (m.long, m.slow), (m.smooth, m.signal_period)):
            set_average(a, period)

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.slow + n.signal_period - 1


class Stochastic(Indicator):
    """Stochastic oscillator, 0 to 100: where the close is in the range of `period` bars. `value` is slow %K, the mean
    of `smooth` raw ones; `signal` is %D, the mean of `signal_period` values. 50 where there is no range.

    Warm-up: period + smooth + signal_period - 2. Source: G. Lane, Lane's Stochastics, Stocks & Commodities 2:3, 1984.
    TA-Lib: STOCH, which is 0 where there is no range.
    """

    numbers = (WINDOW, Number("smooth", window=True), Number("signal_period", window=True))
    outputs = ("signal",)
    update = staticmethod(_update_stochastic)

    def __init__(self, period: Any = 14, smooth: Any = 3, signal_period: Any = 3) -> None:
        super().__init__(period=period, smooth=smooth, signal_period=signal_period)

    def fields(self) -> list[tuple]:
        sums = [("raw", sum_part(self.room("smooth"))), ("smoothed", sum_part(self.room("signal_period")))]
        return [*sums, ("highs", extreme_part(self.room())), ("lows", extreme_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.raw.period, m.smoothed.period, m.highs.period, m.lows.period = m.smooth, m.signal_period, m.period, m.period

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + n.smooth + n.signal_period - 2


class StochRsi(Indicator):
    """Stochastic oscillator of the Rsi over `period`: where that is in its range of `window` inputs, averaged as
    `Stochastic` is. 50 where there is no range.

    Warm-up: period + window + smooth + signal_period - 2. Source: T. Chande and S. Kroll, The New Technical Trader,
    1994. TA-Lib: STOCHRSI with smooth=1, which is 0 where there is no range.
    """

    numbers = (
        Number("period"),
        Number("window", window=True),
        Number("smooth", window=True),
        Number("signal_period", window=True),
    )
    outputs = ("signal",)
    update = staticmethod(_update_stoch_rsi)

    def __init__(
        self,
        period: Any = 14,
        window: Any = 14,
        smooth: Any = 3,
        signal_period: Any = 3,
        source: str = CLOSE,
        of: Any = None,
    ) -> None:
        super().__init__(source, of, period=period, window=window, smooth=smooth, signal_period=signal_period)

    def fields(self) -> list[tuple]:
        sums = [("raw", sum_part(self.room("smooth"))), ("smoothed", sum_part(self.room("signal_period")))]
        room = self.room("window")
        return [("rsi", Rsi(2).dtype()), *sums, ("highs", extreme_part(room)), ("lows", extreme_part(room))]

    def set_up(self, m: Any) -> None:
        Rsi(2).configure(m.rsi, {"period": m.period})
        m.raw.period, m.smoothed.period, m.highs.period, m.lows.period = m.smooth, m.signal_period, m.window, m.window

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + n.window + n.smooth + n.signal_period - 2


class Cci(OfWindow):
    """Commodity channel index: (x - mean) / (0.015 * mean distance from the mean), of typical prices; 0 when nothing
    moved.

    Warm-up: period. Source: D. R. Lambert, Commodities magazine, October 1980. TA-Lib: CCI.
    """

    update = staticmethod(_update_cci)

    def __init__(self, period: Any = 20, source: str = HLC3, of: Any = None) -> None:
        super().__init__(period, source, of)

    def fields(self) -> list[tuple]:
        return [("sums", sum_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.sums.period = m.period


class WilliamsR(Indicator):
    """Williams %R, -100 to 0: how far the close is below the high of `period` bars, in hundredths of their range; -50
    where there is none.

    Warm-up: period. Source: L. R. Williams, How I Made One Million Dollars, 1973. TA-Lib: WILLR, which is 0 where
    there is no range.
    """

    numbers = (WINDOW,)
    update = staticmethod(_update_williams)

    def __init__(self, period: Any = 14) -> None:
        super().__init__(period=period)

    def fields(self) -> list[tuple]:
        return [("highs", extreme_part(self.room())), ("lows", extreme_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.highs.period = m.lows.period = m.period


class Roc(OfWindow):
    """Rate of change: 100 * (x / the input `period` ago - 1); 0 where that was 0.

    Warm-up: period + 1. Source: J. J. Murphy, Technical Analysis of the Futures Markets, 1986. TA-Lib: ROC.
    """

    update = staticmethod(_update_roc)

    def fields(self) -> list[tuple]:
        return [("place", "i8"), ("window", "f8", (self.room(),))]

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class Momentum(Roc):
    """Momentum: x less the input `period` ago.

    Warm-up: period + 1. Source: J. J. Murphy, Technical Analysis of the Futures Markets, 1986. TA-Lib: MOM.
    """

    update = staticmethod(_update_momentum)
