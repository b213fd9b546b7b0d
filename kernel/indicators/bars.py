"""Bars of a longer time, made of the run's own as they come. A strategy sees the last one that is complete."""

from typing import Any

from kernel.indicators.base import Indicator, Number, put
from kernel.jit import jit_indicator

MINUTE = 60_000_000_000
NEVER = 2**62


@jit_indicator
def _begin(m, bar):
    if m.count == 0 or bar.session != m.session:
        m.anchor = bar.session_open if bar.session_open > 0 else bar.ts_open
    m.session, m.building = bar.session, 1
    size = m.minutes * MINUTE
    m.ends = m.anchor + ((bar.ts_open - m.anchor) // size + 1) * size if size > 0 else NEVER
    m.first, m.highest, m.lowest, m.traded = bar.open, bar.high, bar.low, 0.0


@jit_indicator
def _complete(m):
    m.open, m.high, m.low, m.close, m.volume = m.first, m.highest, m.lowest, m.last, m.traded
    put(m, m.last)
    m.fresh, m.building = 1.0, 0
    m.count += 1


@jit_indicator
def _update_bars(m, bar):
    """At most one is complete with a bar, so that none is passed over: where a bar is late for the one before and
    completes its own, that one is seen with the next."""
    m.fresh = 0.0
    if m.building != 0 and (bar.ts_open >= m.ends or bar.session != m.session):
        _complete(m)
    if m.building == 0:
        _begin(m, bar)
    m.highest, m.lowest, m.last = max(m.highest, bar.high), min(m.lowest, bar.low), bar.close
    m.traded += bar.volume
    if bar.ts >= m.ends and m.fresh == 0.0:
        _complete(m)


class Bars(Indicator):
    """Bars of `minutes`, counted from where the session opened; without a calendar, from the day's first bar. The last
    one of a session may be shorter. 0 minutes: one bar a session.

    `open high low close volume` are those of the last complete bar, `value` and `previous` its close and the one
    before; `fresh` is 1 with the bar of the run that completed it, else 0. A bar is complete with the bar that ends
    when it does, or with the first one after that. The bar under way is not shown: what is not over is not known.
    Warm-up: one bar of its own; `on_bar` waits until every indicator `.on` it is warm.
    """

    numbers = (Number("minutes", 0, 100_000),)
    outputs = ("open", "high", "low", "close", "volume", "fresh")
    sessions = True
    update = staticmethod(_update_bars)

    def __init__(self, minutes: Any) -> None:
        super().__init__(minutes=minutes)

    def fields(self) -> list[tuple]:
        whole = [(name, "i8") for name in ("needed", "building", "session", "anchor", "ends")]
        return whole + [(name, "f8") for name in ("first", "highest", "lowest", "last", "traded")]

    def set_up(self, m: Any) -> None:
        m.fresh, m.needed = 0.0, 1


def minutes(count: Any) -> Bars:
    """Bars of so many minutes, for an attribute: `m15: Bars = minutes(15)`."""
    return Bars(count)


def hours(count: int) -> Bars:
    """Bars of so many hours."""
    return Bars(60 * count)


def daily() -> Bars:
    """One bar a session: complete with the first bar of the next."""
    return Bars(0)
