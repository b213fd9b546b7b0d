"""Candle patterns, by TA-Lib's rules and its default settings: 1 bullish, -1 bearish, 0 none.

A body is long or short beside the mean body of the ten bars before it, a shadow or a doji small beside a tenth of their
mean range, and near beside a fifth of that of five.
"""

from typing import Any

from kernel.indicators.base import Indicator, Number, put
from kernel.indicators.rolling import part
from kernel.jit import jit_indicator

SPAN = 10
CANDLE = part(*((name, "f8") for name in ("open", "high", "low", "close", "body", "mean_body", "tenth", "near")))


@jit_indicator
def _mean(ring, place, count):
    """The mean of the last `count` of a ring; `place` is its oldest."""
    total = 0.0
    for k in range(1, count + 1):
        at = place - k
        total += ring[at + SPAN if at < 0 else at]
    return total / count


@jit_indicator
def _copy(to, of):
    to.open, to.high, to.low, to.close = of.open, of.high, of.low, of.close
    to.body, to.mean_body, to.tenth, to.near = of.body, of.mean_body, of.tenth, of.near


@jit_indicator
def _take(m, bar, needed):
    """Put the bar behind the two before; whether there are as many as the pattern needs."""
    _copy(m.first, m.second)
    _copy(m.second, m.third)
    c = m.third
    c.open, c.high, c.low, c.close = bar.open, bar.high, bar.low, bar.close
    c.body = abs(bar.close - bar.open)
    c.mean_body = _mean(m.bodies, m.place, SPAN)
    c.tenth = 0.1 * _mean(m.ranges, m.place, SPAN)
    c.near = 0.2 * _mean(m.ranges, m.place, SPAN // 2)
    m.bodies[m.place], m.ranges[m.place] = c.body, bar.high - bar.low
    m.place = m.place + 1 if m.place + 1 < SPAN else 0
    m.count += 1
    return m.count > needed


@jit_indicator
def _top(c):
    return max(c.open, c.close)


@jit_indicator
def _bottom(c):
    return min(c.open, c.close)


@jit_indicator
def _colour(c):
    return 1.0 if c.close >= c.open else -1.0


@jit_indicator
def _tell(m, holds, value):
    put(m, value if holds else 0.0)


@jit_indicator
def _update_doji(m, bar):
    if _take(m, bar, SPAN):
        _tell(m, m.third.body <= m.third.tenth, 1.0)


@jit_indicator
def _update_marubozu(m, bar):
    if _take(m, bar, SPAN):
        c = m.third
        short = c.high - _top(c) < c.tenth and _bottom(c) - c.low < c.tenth
        _tell(m, c.body > c.mean_body and short, _colour(c))


@jit_indicator
def _update_spinning_top(m, bar):
    if _take(m, bar, SPAN):
        c = m.third
        between = c.high - _top(c) > c.body and _bottom(c) - c.low > c.body
        _tell(m, c.body < c.mean_body and between, _colour(c))


@jit_indicator
def _has_lower_shadow(c):
    """A short body at the top of its range, below it a longer shadow."""
    return c.body < c.mean_body and _bottom(c) - c.low > c.body and c.high - _top(c) < c.tenth


@jit_indicator
def _has_upper_shadow(c):
    return c.body < c.mean_body and c.high - _top(c) > c.body and _bottom(c) - c.low < c.tenth


@jit_indicator
def _update_hammer(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        _tell(m, _has_lower_shadow(c) and _bottom(c) <= b.low + b.near, 1.0)


@jit_indicator
def _update_hanging_man(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        _tell(m, _has_lower_shadow(c) and _bottom(c) >= b.high - b.near, -1.0)


@jit_indicator
def _update_inverted_hammer(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        _tell(m, _has_upper_shadow(c) and _top(c) < _bottom(b), 1.0)


@jit_indicator
def _update_shooting_star(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        _tell(m, _has_upper_shadow(c) and _bottom(c) > _top(b), -1.0)


@jit_indicator
def _update_engulfing(m, bar):
    if _take(m, bar, 2):
        b, c = m.second, m.third
        covers = _top(c) >= _top(b) and _bottom(c) <= _bottom(b) and (_top(c) > _top(b) or _bottom(c) < _bottom(b))
        _tell(m, covers and _colour(c) != _colour(b), _colour(c))


@jit_indicator
def _update_harami(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        sizes = b.body > b.mean_body and c.body <= c.mean_body
        _tell(m, sizes and _top(c) <= _top(b) and _bottom(c) >= _bottom(b), -_colour(b))


@jit_indicator
def _update_piercing(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        long = b.body > b.mean_body and c.body > c.mean_body and _colour(b) < 0.0 and _colour(c) > 0.0
        _tell(m, long and c.open < b.low and c.close < b.open and c.close > b.close + 0.5 * b.body, 1.0)


@jit_indicator
def _update_dark_cloud(m, bar):
    if _take(m, bar, SPAN + 1):
        b, c = m.second, m.third
        long = b.body > b.mean_body and _colour(b) > 0.0 and _colour(c) < 0.0
        _tell(m, long and c.open > b.high and c.close > b.open and c.close < b.close - m.penetration * b.body, -1.0)


@jit_indicator
def _is_star(a, b, c):
    """A long body, a short one, and one that is not."""
    return a.body > a.mean_body and b.body <= b.mean_body and c.body > c.mean_body


@jit_indicator
def _update_morning_star(m, bar):
    if _take(m, bar, SPAN + 2):
        a, b, c = m.first, m.second, m.third
        turns = _colour(a) < 0.0 and _colour(c) > 0.0 and _top(b) < _bottom(a)
        _tell(m, _is_star(a, b, c) and turns and c.close > a.close + m.penetration * a.body, 1.0)


@jit_indicator
def _update_evening_star(m, bar):
    if _take(m, bar, SPAN + 2):
        a, b, c = m.first, m.second, m.third
        turns = _colour(a) > 0.0 and _colour(c) < 0.0 and _bottom(b) > _top(a)
        _tell(m, _is_star(a, b, c) and turns and c.close < a.close - m.penetration * a.body, -1.0)


class Candle(Indicator):
    """A candle pattern: what it needs to know of the last bars."""

    needs = SPAN  # bars before the first that can be judged

    def __init__(self) -> None:
        super().__init__()

    def fields(self) -> list[tuple]:
        rings = [(name, "f8", (SPAN,)) for name in ("bodies", "ranges")]
        return [("place", "i8"), *((name, CANDLE) for name in ("first", "second", "third")), *rings]

    def warm_up(self, n: Any, output: str = "value") -> int:
        return self.needs + 1


class Doji(Candle):
    """A body of at most a tenth of the mean range of ten bars.

    Warm-up: 11. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLDOJI.
    """

    update = staticmethod(_update_doji)


class Marubozu(Candle):
    """A long body with hardly a shadow; the sign is its colour.

    Warm-up: 11. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLMARUBOZU.
    """

    update = staticmethod(_update_marubozu)


class SpinningTop(Candle):
    """A short body with two longer shadows; the sign is its colour.

    Warm-up: 11. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLSPINNINGTOP.
    """

    update = staticmethod(_update_spinning_top)


class Hammer(Candle):
    """A short body with a longer lower shadow and hardly an upper one, near or below the low before: 1.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLHAMMER.
    """

    needs = SPAN + 1
    update = staticmethod(_update_hammer)


class HangingMan(Candle):
    """The hammer's shape near or above the high before: -1.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLHANGINGMAN.
    """

    needs = SPAN + 1
    update = staticmethod(_update_hanging_man)


class InvertedHammer(Candle):
    """A short body with a longer upper shadow and hardly a lower one, below the body before: 1.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLINVERTEDHAMMER.
    """

    needs = SPAN + 1
    update = staticmethod(_update_inverted_hammer)


class ShootingStar(Candle):
    """The inverted hammer's shape above the body before: -1.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLSHOOTINGSTAR.
    """

    needs = SPAN + 1
    update = staticmethod(_update_shooting_star)


class Engulfing(Candle):
    """A body that covers the one before, of the other colour, and is longer; the sign is its colour.

    Warm-up: 3. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLENGULFING, which is 80
    instead of 100 where one end is equal.
    """

    needs = 2
    update = staticmethod(_update_engulfing)


class Harami(Candle):
    """A short body within the long one before; the sign is against that one's colour.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLHARAMI, which is 80
    instead of 100 where one end is equal.
    """

    needs = SPAN + 1
    update = staticmethod(_update_harami)


class Piercing(Candle):
    """A long rise that opens below the low of the long fall before and closes in the upper half of its body: 1.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLPIERCING.
    """

    needs = SPAN + 1
    update = staticmethod(_update_piercing)


class _Penetrating(Candle):
    """A pattern that closes so far into an earlier body."""

    numbers = (Number("penetration", 0.0, 1.0, whole=False),)
    needs = SPAN + 2

    def __init__(self, penetration: Any = 0.3) -> None:
        super(Candle, self).__init__(penetration=penetration)


class DarkCloudCover(_Penetrating):
    """A fall that opens above the high of the long rise before and closes `penetration` into its body: -1.

    Warm-up: 12. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLDARKCLOUDCOVER.
    """

    needs = SPAN + 1
    update = staticmethod(_update_dark_cloud)

    def __init__(self, penetration: Any = 0.5) -> None:
        super().__init__(penetration)


class MorningStar(_Penetrating):
    """A long fall, a short body below it, and a rise that is not short and closes `penetration` into the fall: 1.

    Warm-up: 13. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLMORNINGSTAR.
    """

    update = staticmethod(_update_morning_star)


class EveningStar(_Penetrating):
    """A long rise, a short body above it, and a fall that is not short and closes `penetration` into the rise: -1.

    Warm-up: 13. Source: S. Nison, Japanese Candlestick Charting Techniques, 1991. TA-Lib: CDLEVENINGSTAR.
    """

    update = staticmethod(_update_evening_star)
