"""The table of working orders: a free list of slots and one doubly linked chain an instrument, oldest first.

A linear scan of 1,024 slots costs ten times the rest of the step; a chain costs what is working.
"""

from kernel.codes import OrderType, Side, code
from kernel.jit import jit, jit_call
from kernel.reserve import set_aside, value_order
from kernel.tables import account, book, market, order, position, rules

_BUY, _MARKET = code(Side.BUY), code(OrderType.MARKET)


@jit_call
def open_slot(s, e):
    """Put the order of an ORDER_SUBMITTED event into a free slot, at the end of its instrument's chain."""
    a, m = account(s), market(s, e.instrument)
    slot = a.free_slot
    assert slot >= 0, "the order table is full: risk must have denied this order"
    o = order(s, slot)
    a.free_slot = o.next
    a.open_orders += 1
    o.order_id, o.ts_submitted = e.order_id, e.ts_init
    o.qty, o.leaves_qty, o.cum_qty = e.qty, e.qty, 0
    o.px, o.trigger_px, o.triggered_by = e.px, e.trigger_px, 0
    o.reserve_px, o.value = e.reserve_px, 0
    o.instrument, o.strategy, o.side = e.instrument, e.strategy, e.side
    o.order_type, o.tif, o.status = e.order_type, e.tif, e.status
    o.next, o.previous = -1, m.order_tail
    if m.order_tail >= 0:
        order(s, m.order_tail).next = slot
    else:
        m.order_head = slot
    m.order_tail = slot
    count_working(s, o, o.leaves_qty, 1)
    value_order(s, o)
    set_aside(s, o.strategy, o.instrument)


@jit_call
def free_slot(s, slot):
    """Take a finished order out of its chain."""
    a, o = account(s), order(s, slot)
    m = market(s, o.instrument)
    if o.previous >= 0:
        order(s, o.previous).next = o.next
    else:
        m.order_head = o.next
    if o.next >= 0:
        order(s, o.next).previous = o.previous
    else:
        m.order_tail = o.previous
    count_working(s, o, -o.leaves_qty, -1)
    o.leaves_qty = 0
    value_order(s, o)
    o.order_id = o.ts_submitted = o.qty = o.leaves_qty = o.cum_qty = o.px = o.trigger_px = o.triggered_by = 0
    o.reserve_px = 0
    o.instrument = o.strategy = o.side = o.order_type = o.tif = o.status = 0
    o.previous = -1
    o.next = a.free_slot
    a.free_slot = slot
    a.open_orders -= 1


@jit
def count_working(s, o, qty, orders):
    """Add `qty` and `orders` to what works for this order's position and book."""
    p = position(s, o.strategy, o.instrument)
    if o.side == _BUY:
        p.working_buy += qty
    else:
        p.working_sell += qty
    if o.order_type == _MARKET:
        p.pending += o.side * qty
    p.open_orders += orders
    book(s, o.strategy).open_orders += orders


@jit_call
def find_slot(s, instrument, order_id):
    """Slot of a working order, -1 when there is none."""
    if instrument < 0 or instrument >= rules(s).instruments:
        return -1
    slot = market(s, instrument).order_head
    while slot >= 0:
        if order(s, slot).order_id == order_id:
            return slot
        slot = order(s, slot).next
    return -1
