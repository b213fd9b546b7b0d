"""Indicators a strategy declares. Each updates itself from every bar, per instrument, before `on_bar` is called.

`value` and `previous` are NaN until warm, so no comparison with them holds. Seeding follows TA-Lib: the first value of
a recursive average is the simple mean of its first `period` inputs. Wilder's averages (RSI, ATR) are from J. W. Wilder,
New Concepts in Technical Trading Systems, 1978.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kernel.jit import jit_user
from kernel.schema import Record

OPEN, HIGH, LOW, CLOSE, VOLUME, HL2, HLC3, OHLC4 = (
    "bar.open",
    "bar.high",
    "bar.low",
    "bar.close",
    "bar.volume",
    "(bar.high + bar.low) / 2.0",
    "(bar.high + bar.low + bar.close) / 3.0",
    "(bar.open + bar.high + bar.low + bar.close) / 4.0",
)
SOURCES = (OPEN, HIGH, LOW, CLOSE, VOLUME, HL2, HLC3, OHLC4)
RING_MAX = 100_000


class Indicator:
    """A declared indicator: what it keeps, how it is set up, how one bar changes it.

    `period` is a number or a Param; `source` one of OPEN .. OHLC4, or `of=` another indicator declared before it.
    """

    takes_bar = False
    update: Callable

    def __init__(self, period: Any, source: str = CLOSE, of: "Indicator | None" = None) -> None:
        if source not in SOURCES:
            raise ValueError("source is one of OPEN, HIGH, LOW, CLOSE, VOLUME, HL2, HLC3, OHLC4")
        self.period, self.source, self.of = period, source, of

    def fields(self) -> list[tuple]:
        """Fields of its memory beside value, previous, period and count."""
        return []

    def dtype(self) -> np.dtype:
        common = [("value", "f8"), ("previous", "f8"), ("period", "i8"), ("count", "i8")]
        return np.dtype((Record, common + self.fields()))

    def ring(self) -> int:
        """Inputs a window may hold: the period, or the highest its parameter may take."""
        longest = int(getattr(self.period, "high", None) or getattr(self.period, "default", self.period))
        if not 1 <= longest <= RING_MAX:
            raise ValueError(f"a period is between 1 and {RING_MAX:,}, this one may be {longest:,}")
        return longest

    def configure(self, memory: Any, period: int) -> None:
        """Set an empty record up for `period`; raises ValueError when it is not positive."""
        if period < 1:
            raise ValueError(f"a period is 1 or more, not {period}")
        memory.period, memory.count = period, 0
        memory.value = memory.previous = math.nan

    def warm_up(self, period: int) -> int:
        """Inputs it needs for its first value."""
        return period


@jit_user
def canonical(x):
    """The one NaN and the one zero: different bits for the same number would be different states."""
    return math.nan if x != x else x + 0.0


@jit_user
def _set(m, value):
    m.previous = m.value
    m.value = canonical(value)


@jit_user
def _update_ema(m, x):
    if x != x:
        return
    m.count += 1
    if m.count > m.period:
        _set(m, m.value + m.alpha * (x - m.value))
        return
    m.total += x
    if m.count == m.period:
        _set(m, m.total / m.period)


@jit_user
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
        _set(m, m.total / m.period)


@jit_user
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
    total = m.gain + m.loss
    _set(m, 100.0 * m.gain / total if total > 0.0 else 50.0)


@jit_user
def _update_atr(m, bar):
    spread = bar.high - bar.low
    if m.count > 0:
        up, down = abs(bar.high - m.last), abs(bar.low - m.last)
        spread = max(spread, up, down)
    m.last = bar.close
    m.count += 1
    if m.count == 1:
        return
    if m.count <= m.period + 1:
        m.total += spread
        if m.count == m.period + 1:
            _set(m, m.total / m.period)
    else:
        _set(m, m.value + (spread - m.value) / m.period)


class Ema(Indicator):
    """Exponential moving average, alpha = 2 / (period + 1)."""

    update = staticmethod(_update_ema)

    def fields(self) -> list[tuple]:
        return [("alpha", "f8"), ("total", "f8")]

    def configure(self, memory: Any, period: int) -> None:
        super().configure(memory, period)
        memory.alpha = 2.0 / (period + 1)


class Sma(Indicator):
    """Simple moving average."""

    update = staticmethod(_update_sma)

    def fields(self) -> list[tuple]:
        return [("total", "f8"), ("window", "f8", (self.ring(),))]

    def configure(self, memory: Any, period: int) -> None:
        super().configure(memory, period)
        if period > memory.window.size:
            raise ValueError(f"a period of {period} needs room: declare its Param with high={period} or more")


class Rsi(Indicator):
    """Relative strength index by Wilder's average, 0 to 100; 50 when nothing moved."""

    update = staticmethod(_update_rsi)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("gain", "f8"), ("loss", "f8")]

    def warm_up(self, period: int) -> int:
        return period + 1


class Atr(Indicator):
    """Average true range by Wilder's average, in currency."""

    takes_bar = True
    update = staticmethod(_update_atr)

    def __init__(self, period: Any) -> None:
        super().__init__(period)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("total", "f8")]

    def warm_up(self, period: int) -> int:
        return period + 1
