"""Trends: whether there is one, where it points, where it ends."""

import math
from typing import Any

from kernel.indicators.base import MULTIPLE, Indicator, Number, put
from kernel.indicators.rolling import WILDER, extreme_part, highest_age, slide_highest, true_range
from kernel.indicators.volatility import next_range
from kernel.jit import jit_indicator

STEP = Number("step", 1e-9, 1.0, whole=False)


@jit_indicator
def _sum_moves(m, bar):
    """Wilder's sums of true range and of movement up and down. They begin plain, of period - 1 bars."""
    up, down = bar.high - m.high, m.low - bar.low
    spread = true_range(bar, m.last)
    if m.count > m.period:
        m.plus -= m.plus / m.period
        m.minus -= m.minus / m.period
        m.ranges -= m.ranges / m.period
    m.ranges += spread
    if down > 0.0 and up < down:
        m.minus += down
    elif up > 0.0 and up > down:
        m.plus += up


@jit_indicator
def _update_adx(m, bar):
    m.count += 1
    if m.count > 1:
        _sum_moves(m, bar)
    m.high, m.low, m.last = bar.high, bar.low, bar.close
    if m.count <= m.period:
        return
    m.plus_di = 100.0 * (m.plus / m.ranges) if m.ranges > 0.0 else 0.0
    m.minus_di = 100.0 * (m.minus / m.ranges) if m.ranges > 0.0 else 0.0
    both = m.plus_di + m.minus_di
    index = 100.0 * abs(m.plus_di - m.minus_di) / both if both > 0.0 else 0.0
    if m.count <= 2 * m.period:
        m.total += index
        if m.count == 2 * m.period:
            put(m, m.total / m.period)
    elif both > 0.0:
        put(m, (m.value * (m.period - 1) + index) / m.period)
    else:
        put(m, m.value)


@jit_indicator
def _update_aroon(m, bar):
    m.count += 1
    slide_highest(m.highs, bar.high)
    slide_highest(m.lows, -bar.low)
    if m.count > m.period:
        m.up = 100.0 * (m.period - highest_age(m.highs)) / m.period
        m.down = 100.0 * (m.period - highest_age(m.lows)) / m.period
        put(m, m.up - m.down)


@jit_indicator
def _update_supertrend(m, bar):
    before = m.last
    spread = next_range(m, bar)
    if spread != spread:
        return
    middle, reach = (bar.high + bar.low) / 2.0, m.multiple * spread
    upper, lower = middle + reach, middle - reach
    if m.value != m.value:
        m.direction = 1.0
    else:
        upper = upper if upper < m.upper or before > m.upper else m.upper
        lower = lower if lower > m.lower or before < m.lower else m.lower
        if m.direction < 0.0:
            m.direction = 1.0 if bar.close > upper else -1.0
        else:
            m.direction = -1.0 if bar.close < lower else 1.0
    m.upper, m.lower = upper, lower
    put(m, lower if m.direction > 0.0 else upper)


@jit_indicator
def _update_sar(m, bar):
    """Long only, in a mirror when the trend is down: prices are negative there, and high is low."""
    m.count += 1
    high, low = bar.high, bar.low
    if m.count > 1:
        if m.count == 2:
            down = m.low - low
            m.direction = -1.0 if down > 0.0 and high - m.high < down else 1.0
            m.best, m.next = (high, m.low) if m.direction > 0.0 else (-low, -m.high)
            m.high, m.low = high, low
        side = m.direction
        top, floor = (high, low) if side > 0.0 else (-low, -high)
        floor_before = m.low if side > 0.0 else -m.high
        if floor <= m.next:
            side = -side
            top, floor, floor_before = -floor, -top, -m.high if side < 0.0 else m.low
            stop = min(-m.best, floor_before, floor)
            m.direction, m.best, m.factor = side, top, m.step
        else:
            stop = m.next
            if top > m.best:
                m.best, m.factor = top, min(m.factor + m.step, m.most)
        m.next = min(stop + m.factor * (m.best - stop), floor_before, floor)
        put(m, side * stop)
    m.high, m.low = high, low


class Adx(Indicator):
    """Directional movement: `plus_di` and `minus_di` are 100 * Wilder's sum of movement up or down by that of true
    range; `value` is Wilder's average of 100 * |plus_di - minus_di| / (plus_di + minus_di).

    Warm-up: 2 * period; period + 1 for plus_di and minus_di. Source: J. W. Wilder, New Concepts in Technical Trading
    Systems, 1978. TA-Lib: ADX, PLUS_DI, MINUS_DI.
    """

    numbers = (Number("period", 2),)
    outputs = ("plus_di", "minus_di")
    update = staticmethod(_update_adx)

    def __init__(self, period: Any = 14) -> None:
        super().__init__(period=period)

    def fields(self) -> list[tuple]:
        return [(name, "f8") for name in ("high", "low", "last", "plus", "minus", "ranges", "total")]

    def warm_up(self, n: Any, output: str = "value") -> int:
        return 2 * n.period if output == "value" else n.period + 1


class Aroon(Indicator):
    """Aroon: `up` is 100 * (period - bars since the highest high of period + 1 bars) / period, `down` the same of the
    lowest low, `value` up - down. Of equals the most recent counts.

    Warm-up: period + 1. Source: T. Chande, Stocks & Commodities 13:9, 1995. TA-Lib: AROON, AROONOSC.
    """

    numbers = (Number("period", window=True),)
    outputs = ("up", "down")
    update = staticmethod(_update_aroon)

    def __init__(self, period: Any = 14) -> None:
        super().__init__(period=period)

    def fields(self) -> list[tuple]:
        return [("highs", extreme_part(self.room() + 1)), ("lows", extreme_part(self.room() + 1))]

    def set_up(self, m: Any) -> None:
        m.highs.period = m.lows.period = m.period + 1

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class SuperTrend(Indicator):
    """SuperTrend: bands `multiple` times the Atr from the middle of the bar, of which `upper` never rises and `lower`
    never falls while the close before is inside. `direction` becomes 1 with a close above `upper`, -1 with one below
    `lower`; `value` is the band on the other side of the trend. It begins up.

    Warm-up: period + 1. Source: O. Seban, Tout le monde mérite d'être riche, 2008. TA-Lib: SUPERTREND.
    """

    numbers = (Number("period"), MULTIPLE)
    outputs = ("direction", "upper", "lower")
    update = staticmethod(_update_supertrend)

    def __init__(self, period: Any = 10, multiple: Any = 3.0) -> None:
        super().__init__(period=period, multiple=multiple)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("ranges", WILDER)]

    def set_up(self, m: Any) -> None:
        m.ranges.period, m.ranges.value = m.period, math.nan

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class ParabolicSar(Indicator):
    """Parabolic stop and reverse: sar += factor * (best price - sar), the factor growing by `step` with every new
    best to `most`; never within the last two bars. `direction` is 1 while long.

    Warm-up: 2. Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978. TA-Lib: SAR.
    """

    numbers = (STEP, Number("most", 1e-9, 1.0, whole=False))
    outputs = ("direction",)
    update = staticmethod(_update_sar)

    def __init__(self, step: Any = 0.02, most: Any = 0.2) -> None:
        super().__init__(step=step, most=most)

    def fields(self) -> list[tuple]:
        return [(name, "f8") for name in ("high", "low", "best", "next", "factor")]

    def set_up(self, m: Any) -> None:
        if m.step > m.most:
            raise ValueError(f"step is not above most, as {m.step} is above {m.most}")
        m.factor = m.step

    def warm_up(self, n: Any, output: str = "value") -> int:
        return 2
