"""Where prices have been: the cloud of Ichimoku, and the legs of a zigzag."""

import math
from typing import Any

from kernel.indicators.base import Indicator, Number, put
from kernel.indicators.rolling import extreme_part, slide_highest
from kernel.jit import jit_indicator


@jit_indicator
def _middle(highs, lows, bar):
    """Halfway between the highest high and the lowest low of a window; NaN until it is full."""
    high, low = slide_highest(highs, bar.high), -slide_highest(lows, -bar.low)
    return (high + low) / 2.0 if highs.count >= highs.period else math.nan


@jit_indicator
def _update_ichimoku(m, bar):
    m.count += 1
    conversion = _middle(m.high_1, m.low_1, bar)
    m.base = _middle(m.high_2, m.low_2, bar)
    m.lead_a = (conversion + m.base) / 2.0
    m.lead_b = _middle(m.high_3, m.low_3, bar)
    if m.count > m.displacement:
        m.span_a, m.span_b = m.leads_a[m.place], m.leads_b[m.place]
    m.leads_a[m.place], m.leads_b[m.place] = m.lead_a, m.lead_b
    m.place = m.place + 1 if m.place + 1 < m.displacement else 0
    put(m, conversion)


@jit_indicator
def _turn(m, pivot, age, direction, extreme):
    m.age, m.direction, m.extreme, m.extreme_age = age, direction, extreme, 0.0
    put(m, pivot)


@jit_indicator
def _update_zigzag(m, bar):
    m.count += 1
    m.age += 1.0
    m.extreme_age += 1.0
    m.low_age += 1.0
    if m.direction != 0.0:
        up = m.direction > 0.0
        if (up and bar.high > m.extreme) or (not up and bar.low < m.extreme):
            m.extreme, m.extreme_age = bar.high if up else bar.low, 0.0
        elif up and bar.low <= m.extreme * (1.0 - m.percent / 100.0):
            _turn(m, m.extreme, m.extreme_age, -1.0, bar.low)
        elif not up and bar.high >= m.extreme * (1.0 + m.percent / 100.0):
            _turn(m, m.extreme, m.extreme_age, 1.0, bar.high)
        return
    if m.count == 1 or bar.high > m.extreme:
        m.extreme, m.extreme_age = bar.high, 0.0
    if m.count == 1 or bar.low < m.low:
        m.low, m.low_age = bar.low, 0.0
    if m.low_age > 0.0 and bar.high >= m.low * (1.0 + m.percent / 100.0):
        _turn(m, m.low, m.low_age, 1.0, bar.high)
    elif m.extreme_age > 0.0 and bar.low <= m.extreme * (1.0 - m.percent / 100.0):
        _turn(m, m.extreme, m.extreme_age, -1.0, bar.low)


class Ichimoku(Indicator):
    """Ichimoku: halfway between the highest high and the lowest low of `conversion` bars (`value`), of `base_period`
    (`base`) and of `span` (`lead_b`); `lead_a` is halfway between the first two. `span_a` and `span_b` are the cloud
    at this bar: the leads of `displacement` bars ago.

    Warm-up: displacement + max(span, conversion, base_period); value conversion, base base_period. Source: G. Hosoda,
    1969; N. Elliott, Ichimoku Charts, 2007.
    """

    numbers = (
        Number("conversion", window=True),
        Number("base_period", window=True),
        Number("span", window=True),
        Number("displacement", window=True),
    )
    outputs = ("base", "lead_a", "lead_b", "span_a", "span_b")
    update = staticmethod(_update_ichimoku)

    def __init__(self, conversion: Any = 9, base_period: Any = 26, span: Any = 52, displacement: Any = 26) -> None:
        super().__init__(conversion=conversion, base_period=base_period, span=span, displacement=displacement)

    def fields(self) -> list[tuple]:
        windows = zip("123", ("conversion", "base_period", "span"), strict=True)
        parts = [(f"{side}_{k}", extreme_part(self.room(name))) for k, name in windows for side in ("high", "low")]
        rings = [(name, "f8", (self.room("displacement"),)) for name in ("leads_a", "leads_b")]
        return [("place", "i8"), *parts, *rings]

    def set_up(self, m: Any) -> None:
        m.high_1.period = m.low_1.period = m.conversion
        m.high_2.period = m.low_2.period = m.base_period
        m.high_3.period = m.low_3.period = m.span

    def warm_up(self, n: Any, output: str = "value") -> int:
        both = max(n.conversion, n.base_period)
        needs = {"value": n.conversion, "base": n.base_period, "lead_a": both, "lead_b": n.span}
        return needs[output] if output in needs else n.displacement + needs[output.replace("span", "lead")]


class ZigZag(Indicator):
    """ZigZag that never repaints: a leg ends when a bar is `percent` off its best price, and that price becomes the
    pivot, `value`. `direction` is 1 in a leg up, `extreme` its best price so far, `age` how many bars ago the pivot
    was. A bar that makes a new extreme does not end the leg, whatever else it did.

    Warm-up: 1, but NaN until the first move of `percent`. Source: A. Merrill, Filtered Waves, 1977.
    """

    numbers = (Number("percent", 1e-6, 99.0, whole=False),)
    outputs = ("direction", "extreme", "age")
    update = staticmethod(_update_zigzag)

    def __init__(self, percent: Any = 5.0) -> None:
        super().__init__(percent=percent)

    def fields(self) -> list[tuple]:
        return [(name, "f8") for name in ("extreme_age", "low", "low_age")]

    def set_up(self, m: Any) -> None:
        m.direction = m.age = 0.0
