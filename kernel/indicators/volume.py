"""Volume beside price: whether what was traded went with the move."""

from typing import Any

from kernel.indicators.base import WINDOW, Indicator, put
from kernel.indicators.rolling import share, slide_sum, sum_part
from kernel.jit import jit_indicator

SAME = 1e-13  # typical prices nearer than this share are equal: thirds of the same sum may differ in the last bit


@jit_indicator
def _update_obv(m, bar):
    m.count += 1
    total = m.value
    if m.count == 1 or bar.close > m.last:
        total = bar.volume if m.count == 1 else total + bar.volume
    elif bar.close < m.last:
        total -= bar.volume
    m.last = bar.close
    put(m, total)


@jit_indicator
def _update_mfi(m, bar):
    m.count += 1
    price = (bar.high + bar.low + bar.close) / 3.0
    change, flow = price - m.last, price * bar.volume
    m.last = price
    if m.count == 1:
        return
    change = 0.0 if abs(change) <= SAME * price else change
    into, out = slide_sum(m.into, flow if change > 0.0 else 0.0), slide_sum(m.out, flow if change < 0.0 else 0.0)
    if m.count > m.period:
        put(m, share(max(into, 0.0), max(into, 0.0) + max(out, 0.0)))


@jit_indicator
def _money_flow(bar):
    """Volume times where the close is in the range: from -1, its low, to 1, its high; 0 where there is no range."""
    spread = bar.high - bar.low
    return ((bar.close - bar.low) - (bar.high - bar.close)) / spread * bar.volume if spread > 0.0 else 0.0


@jit_indicator
def _update_cmf(m, bar):
    m.count += 1
    flow, volume = slide_sum(m.flows, _money_flow(bar)), slide_sum(m.volumes, bar.volume)
    if m.count >= m.period:
        put(m, flow / volume if volume > 0.0 else 0.0)


@jit_indicator
def _update_distribution(m, bar):
    m.count += 1
    m.total += _money_flow(bar)
    put(m, m.total)


class Obv(Indicator):
    """On-balance volume: the volume of bars that closed higher less that of those that closed lower, from the first
    bar's on.

    Warm-up: 1. Source: J. Granville, New Key to Stock Market Profits, 1963. TA-Lib: OBV.
    """

    update = staticmethod(_update_obv)

    def __init__(self) -> None:
        super().__init__()

    def fields(self) -> list[tuple]:
        return [("last", "f8")]


class Mfi(Indicator):
    """Money flow index, 0 to 100: the share of typical price * volume that came with a rise of the typical price, of
    all that came with a rise or a fall in `period` bars; 50 when nothing moved.

    Warm-up: period + 1. Source: G. Quong and A. Soudack, Stocks & Commodities 7:3, 1989. TA-Lib: MFI, which is 0 when
    less than 1 moved.
    """

    numbers = (WINDOW,)
    update = staticmethod(_update_mfi)

    def __init__(self, period: Any = 14) -> None:
        super().__init__(period=period)

    def fields(self) -> list[tuple]:
        return [("last", "f8"), ("into", sum_part(self.room())), ("out", sum_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.into.period = m.out.period = m.period

    def warm_up(self, n: Any, output: str = "value") -> int:
        return n.period + 1


class Cmf(Indicator):
    """Chaikin money flow, -1 to 1: the sum of volume * ((close - low) - (high - close)) / (high - low) over `period`
    bars by that of volume; 0 where nothing was traded.

    Warm-up: period. Source: M. Chaikin, as in S. Achelis, Technical Analysis from A to Z, 1995. TA-Lib: CMF.
    """

    numbers = (WINDOW,)
    update = staticmethod(_update_cmf)

    def __init__(self, period: Any = 20) -> None:
        super().__init__(period=period)

    def fields(self) -> list[tuple]:
        return [("flows", sum_part(self.room())), ("volumes", sum_part(self.room()))]

    def set_up(self, m: Any) -> None:
        m.flows.period = m.volumes.period = m.period


class AccumulationDistribution(Indicator):
    """Accumulation/distribution line: the sum of volume * ((close - low) - (high - close)) / (high - low) of all
    bars; one without a range adds nothing.

    Warm-up: 1. Source: M. Chaikin, as in S. Achelis, Technical Analysis from A to Z, 1995. TA-Lib: AD.
    """

    update = staticmethod(_update_distribution)

    def __init__(self) -> None:
        super().__init__()

    def fields(self) -> list[tuple]:
        return [("total", "f8")]
