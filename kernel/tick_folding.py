"""What a tick is worth, and what it means for orders that rest: evolve's part of `kernel/ticks.py`."""

from kernel.codes import Kind, OrderType, Side, code
from kernel.jit import jit, jit_call
from kernel.orders import is_there
from kernel.tables import market, order, rules
from kernel.units import DOWN, SHARE, mul_div

QUOTE, TRADE, LIMIT, BUY = code(Kind.QUOTE), code(Kind.TRADE), code(OrderType.LIMIT), code(Side.BUY)


@jit_call
def is_bad(s, e):
    """Whether a tick cannot be true: no price, a crossed quote, or too far from the mark."""
    if e.kind == QUOTE:
        if e.bid_px < 0 or e.ask_px < 0 or e.bid_qty < 0 or e.ask_qty < 0:
            return True
        if e.bid_px == 0 and e.ask_px == 0:
            return True
        crossed = e.bid_px > 0 and e.ask_px > 0 and e.bid_px > e.ask_px
        return crossed or (e.bid_px > 0 and _is_far(s, e, e.bid_px)) or (e.ask_px > 0 and _is_far(s, e, e.ask_px))
    return e.trade_px <= 0 or e.trade_qty < 0 or _is_far(s, e, e.trade_px)


@jit
def _is_far(s, e, px):
    m, band = market(s, e.instrument), rules(s).tick_band
    if band == 0 or m.mark == 0 or abs(px - m.mark) <= mul_div(m.mark, band, SHARE, DOWN):
        return False
    agrees = m.odd_px > 0 and abs(px - m.odd_px) <= mul_div(m.odd_px, band, SHARE, DOWN)
    return not (agrees and m.odd_ticks >= 4)


@jit_call
def fold_bad(s, e):
    """Count a bad tick; the fifth of those that agree with each other is a price."""
    m = market(s, e.instrument)
    m.bad += 1
    px = e.trade_px if e.kind == TRADE else max(e.bid_px, e.ask_px)
    band = rules(s).tick_band
    agrees = m.odd_px > 0 and band > 0 and abs(px - m.odd_px) <= mul_div(m.odd_px, band, SHARE, DOWN)
    m.odd_ticks = m.odd_ticks + 1 if agrees else 1
    m.odd_px = max(0, px)


@jit_call
def queue_orders(s, e):
    """What a good tick means for the place of orders in the queue at their price."""
    m = market(s, e.instrument)
    slot = m.order_head
    while slot >= 0:
        o = order(s, slot)
        slot = o.next
        there = is_there(s, m, o.ts_submitted, o.bars_submitted, e.ts_init)
        if o.leaves_qty == 0 or o.order_id >= e.seq or not there:
            continue
        o.ticks += 1
        if rules(s).queue == 0 or o.order_type != LIMIT:
            continue
        if e.kind == TRADE and o.ticks > 1 and e.trade_px == o.px:
            o.queue = max(o.queue, 0) - e.trade_qty
        elif o.ticks == 1:
            best, shown = (m.bid_px, m.bid_qty) if o.side == BUY else (m.ask_px, m.ask_qty)
            o.queue = shown if best == o.px else 0
