"""Stops whose trigger follows the best price since they were sent, and never goes back."""

from kernel.codes import OrderType, Side, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.tables import account, instrument_row, market, order, touched
from kernel.units import DOWN, UP, mul_div

BUY, TRAILING_STOP = code(Side.BUY), code(OrderType.TRAILING_STOP)


@jit_shared
def trailing_trigger(s, instrument, side, trail, px):
    """The trigger `trail` behind `px`, on the tick, away from the price."""
    tick = max(1, instrument_row(s, instrument).tick)
    if side == BUY:
        return mul_div(px + trail, 1, tick, UP) * tick
    return max(tick, mul_div(max(0, px - trail), 1, tick, DOWN) * tick)


@jit_shared
def follow_price(s, instrument, high, low, ts):
    """Move the triggers of trailing stops that were working by `ts` behind the best price since then."""
    slot = market(s, instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        slot = o.next
        if o.order_type == TRAILING_STOP and o.ts_submitted <= ts and o.leaves_qty > 0 and o.set_off == 0:
            if o.side == BUY:
                o.trigger_px = min(o.trigger_px, trailing_trigger(s, instrument, o.side, o.trail, low))
            else:
                o.trigger_px = max(o.trigger_px, trailing_trigger(s, instrument, o.side, o.trail, high))


@jit
def follow_slice(s):
    if account(s).trailing > 0:
        _follow_all(s)


@jit_call
def _follow_all(s):
    """The same for every instrument with a bar in the open slice, once the bars have met the orders."""
    for k in range(account(s).touched):
        m = market(s, touched(s, k).instrument)
        if m.trailing > 0:
            follow_price(s, touched(s, k).instrument, m.high, m.low, m.ts_open)
