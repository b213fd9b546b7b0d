"""What an instrument's prices do: TREND, RANGE or VOLATILE, and which way. Said on the tape when it changes.

Told by Wilder's directional system (New Concepts in Technical Trading Systems, 1978) over `regime_period` bars: the
average directional index (ADX) says whether there is a trend, the directional indicators which way. The average true
range, as a share of the price, against its own average over `regime_average` bars says whether moves are out of the
ordinary, whatever else they are. Each state has one level to enter it and another to leave it, so that a value on the
edge does not flicker. Prices are adjusted for the splits known so far; nothing is said before all averages are warm.
"""

from kernel.codes import Kind, Regime, code
from kernel.events import KERNEL, draft, emit
from kernel.jit import jit, jit_call
from kernel.tables import account, market, regime_row, rules

UNKNOWN, TREND, RANGE, VOLATILE = (code(regime) for regime in Regime)
REGIME_CHANGED = code(Kind.REGIME_CHANGED)


@jit
def is_warm(s, g):
    r = rules(s)
    return g.count > max(2 * r.regime_period - 1, r.regime_average) and g.usual > 0.0 and g.range > 0.0


@jit_call
def regime_of(s, instrument):
    """The regime an instrument is in by its averages, seen from the one it was in."""
    g, r, m = regime_row(s, instrument), rules(s), market(s, instrument)
    volatility = 100.0 * g.share / g.usual
    if volatility >= (r.regime_calm if m.regime == VOLATILE else r.regime_volatile):
        return VOLATILE
    return TREND if 100.0 * g.adx >= (r.regime_range if m.regime == TREND else r.regime_trend) else RANGE


@jit
def direction_of(s, instrument):
    """Which way prices go: it turns once the other directional indicator leads by `regime_turn`."""
    g, now = regime_row(s, instrument), market(s, instrument).direction
    lead = 10_000.0 * (g.plus - g.minus) / g.range
    turn = rules(s).regime_turn
    return 1 if lead > turn else -1 if lead < -turn else now


@jit_call
def tell_regime(s, instrument):
    """REGIME_CHANGED, where the bar of this slice changed the regime or its direction."""
    g, m = regime_row(s, instrument), market(s, instrument)
    if not is_warm(s, g):
        return
    regime, direction = regime_of(s, instrument), direction_of(s, instrument)
    if regime == m.regime and direction == m.direction:
        return
    e = draft(s, REGIME_CHANGED, KERNEL, m.bar_seq, m.ts_bar, account(s).ts)
    e.instrument, e.regime, e.direction, e.before = instrument, regime, direction, m.regime
    e.adx, e.volatility = int(100.0 * g.adx), int(100.0 * g.share / g.usual)
    emit(s, e)
