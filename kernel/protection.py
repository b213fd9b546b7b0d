"""Market price protection: how far from where it was sent an order that takes what it finds may go."""

from kernel.codes import Side, code
from kernel.jit import jit_shared
from kernel.tables import instrument_row, rules
from kernel.units import DOWN, SHARE, UP, mul_div

BUY = code(Side.BUY)


@jit_shared
def protected_px(s, instrument, side, px):
    """The worst price that market protection lets an order take that was sent at `px`; 0 for any."""
    band, tick = rules(s).band, max(1, instrument_row(s, instrument).tick)
    if band == 0 or px <= 0:
        return 0
    away = mul_div(px, band, SHARE, DOWN)
    if side == BUY:
        return mul_div(px + away, 1, tick, DOWN) * tick
    return max(tick, mul_div(px - away, 1, tick, UP) * tick)
