"""Wilder's averages of an instrument's bars, by which `kernel/regime.py` tells what its prices do; a part of evolve."""

from kernel.jit import jit, jit_call
from kernel.tables import instrument_row, regime_row, rules


@jit_call
def take_directional(s, e, m):
    """Take a bar into an instrument's averages."""
    g, n, average = regime_row(s, e.instrument), rules(s).regime_period, rules(s).regime_average
    factor = m.adjustment / instrument_row(s, e.instrument).px_scale
    high, low, close = e.high * factor, e.low * factor, e.close * factor
    g.count += 1
    if g.count > 1 and close > 0.0:
        up, down = high - g.high, g.low - low
        spread = max(high - low, abs(high - g.close), abs(low - g.close))
        changes = g.count - 1
        g.range = _averaged(g.range, spread, changes, n)
        g.plus = _averaged(g.plus, up if up > down and up > 0.0 else 0.0, changes, n)
        g.minus = _averaged(g.minus, down if down > up and down > 0.0 else 0.0, changes, n)
        g.share = _averaged(g.share, spread / close, changes, n)
        g.usual = _averaged(g.usual, spread / close, changes, average)
        if changes >= n and g.plus + g.minus > 0.0:
            g.adx = _averaged(g.adx, 100.0 * abs(g.plus - g.minus) / (g.plus + g.minus), changes - n + 1, n)
    g.high, g.low, g.close = high, low, close


@jit
def _averaged(before, x, count, n):
    """Wilder's average with its `count`-th value: the mean of the first n, then one n-th of each is new."""
    return before + x / n if count <= n else before + (x - before) / n
