"""The table of working orders: a free list of slots and one doubly linked chain an instrument, oldest first.

A linear scan of 1,024 slots costs ten times the rest of the step; a chain costs what is working. Orders that were
canceled or expired are remembered for a while: a fill may have been under way.
"""

from kernel.codes import Flag, OrderType, Side, Status, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.reserve import set_aside, value_order
from kernel.tables import account, book, bound, gone_order, limits, market, order, position, recent, rules, tally

_BUY, _MARKET, _TRAILING = code(Side.BUY), code(OrderType.MARKET), code(OrderType.TRAILING_STOP)
_HELD, _OCO, _REDUCE_ONLY = code(Flag.HELD), code(Flag.OCO), code(Flag.REDUCE_ONLY)
_LINKS = _HELD | _OCO | _REDUCE_ONLY
_PENDING_NEW = code(Status.PENDING_NEW)
_DAY = 86_400 * 10**9
_LIMIT, _STOP_LIMIT = code(OrderType.LIMIT), code(OrderType.STOP_LIMIT)


@jit_call
def open_slot(s, e):
    """Put the order of an ORDER_SUBMITTED event into a free slot, at the end of its instrument's chain."""
    a, m, p = account(s), market(s, e.instrument), position(s, e.strategy, e.instrument)
    slot = a.free_slot
    assert slot >= 0, "the order table is full: risk must have denied this order"
    o = order(s, slot)
    a.free_slot = o.next
    a.open_orders += 1
    o.order_id, o.ts_submitted = e.order_id, e.ts_init
    o.px, o.trigger_px, o.trail, o.expire_ts = e.px, e.trigger_px, e.trail, e.expire_ts
    o.ts_entered, o.bars_submitted, o.reserve_px = e.ts_init, m.bars, e.reserve_px
    o.told_px = e.trigger_px
    bound(s, e.instrument).rests = 0
    o.instrument, o.strategy, o.side = e.instrument, e.strategy, e.side
    o.order_type, o.tif, o.status, o.stood = e.order_type, e.tif, e.status, e.status
    o.flags, o.product, o.parent, o.full_qty = e.flags, e.product, e.parent, e.qty
    o.qty = o.leaves_qty = 0 if e.status == _PENDING_NEW else e.qty
    o.next, o.previous = -1, m.order_tail
    if m.order_tail >= 0:
        order(s, m.order_tail).next = slot
    else:
        m.order_head = slot
    m.order_tail = slot
    if p.qty == 0 and p.open_orders == 0:
        p.product = e.product
    if o.flags & _LINKS:
        p.linked += 1
        a.linked += 1
    if o.order_type == _TRAILING:
        m.trailing += 1
        a.trailing += 1
    count_working(s, o, o.leaves_qty, 1)
    value_order(s, o)
    set_aside(s, o.strategy, o.instrument)


@jit_call
def free_slot(s, slot):
    """Take a finished order out of its chain."""
    a, o = account(s), order(s, slot)
    m, p = market(s, o.instrument), position(s, o.strategy, o.instrument)
    if o.previous >= 0:
        order(s, o.previous).next = o.next
    else:
        m.order_head = o.next
    if o.next >= 0:
        order(s, o.next).previous = o.previous
    else:
        m.order_tail = o.previous
    if o.flags & _LINKS:
        p.linked -= 1
        a.linked -= 1
    if o.order_type == _TRAILING:
        m.trailing -= 1
        a.trailing -= 1
    count_working(s, o, -o.leaves_qty - o.more_qty, -1)
    o.leaves_qty = o.more_qty = 0
    value_order(s, o)
    _clear(o)
    o.previous = -1
    o.next = a.free_slot
    a.free_slot = slot
    a.open_orders -= 1


@jit
def _clear(o):
    o.order_id = o.ts_submitted = o.qty = o.leaves_qty = o.cum_qty = o.px = o.trigger_px = o.triggered_by = 0
    o.reserve_px = o.value = o.instrument = o.strategy = o.side = o.order_type = o.tif = o.status = o.stood = 0
    o.flags = o.product = o.trail = o.expire_ts = o.parent = o.more_qty = o.next_reserve_px = o.full_qty = 0
    o.entered_qty = o.exited_qty = o.entry_px = o.entry_seq = o.over = o.filled_value = o.brokerage = 0
    o.ts_entered = o.bars_submitted = o.ts_asked = o.bars_asked = o.asked_reason = o.replacing = 0
    o.next_qty = o.next_px = o.next_trigger_px = o.notional = o.told_px = o.ticks = o.queue = o.set_off = 0


@jit
def count_working(s, o, qty, orders):
    """Add `qty` and `orders` to what works for this order's position and book."""
    p = position(s, o.strategy, o.instrument)
    if o.flags & _REDUCE_ONLY:
        if o.side == _BUY:
            p.reducing_buy += qty
        else:
            p.reducing_sell += qty
    elif o.side == _BUY:
        p.working_buy += qty
    else:
        p.working_sell += qty
    if o.order_type == _MARKET:
        p.pending += o.side * qty
    p.open_orders += orders
    book(s, o.strategy).open_orders += orders
    tally(s, 0).open_orders += orders
    if o.strategy > 0:
        tally(s, o.strategy).open_orders += orders


@jit_shared
def count_message(s, strategy, ts):
    """Count what was sent to the venue, for the account and for its strategy."""
    _count_message(s, 0, ts)
    if strategy > 0:
        _count_message(s, strategy, ts)


@jit
def _count_message(s, row, ts):
    t = tally(s, row)
    recent(s, row, t.messages).instrument = ts
    t.messages += 1


@jit
def count_recent(s, ring, n, ts):
    """Remember when the n-th of what a ring counts happened."""
    recent(s, ring, n).instrument = ts


@jit
def new_day(t, ts):
    """Counts of a day begin anew with the first one of the next."""
    if t.day != ts // _DAY:
        t.day, t.orders_day, t.fills_day = ts // _DAY, 0, 0


@jit
def is_there(s, m, ts, bars, ts_open):
    """Whether what was sent at `ts`, when the instrument had seen `bars` bars, is at the exchange when a bar opens."""
    r = rules(s)
    return ts + r.latency_ns <= ts_open and m.bars - bars > r.latency_events


@jit
def asked_px(e):
    """The price an order was asked for with: not that of market price protection."""
    return e.px if e.order_type == _LIMIT or e.order_type == _STOP_LIMIT else e.trigger_px


@jit_call
def count_order(s, e):
    """Count an order that was sent, and what of it looks like the one before."""
    p, ts = position(s, e.strategy, e.instrument), e.ts_init
    count_message(s, e.strategy, ts)
    for turn in range(2 if e.strategy > 0 else 1):
        t = tally(s, 0 if turn == 0 else e.strategy)
        new_day(t, ts)
        t.orders_day += 1
    within = (
        limits(s, 0).repeat_within if limits(s, e.strategy).repeat_within == 0 else limits(s, e.strategy).repeat_within
    )
    if p.sent_side != e.side or ts - p.repeat_ts >= within:
        p.repeat_ts, p.repeats = ts, 0
    p.repeats += 1
    p.sent_side, p.sent_qty, p.sent_px, p.sent_ts = e.side, e.qty, asked_px(e), ts


@jit_call
def count_fill(s, strategy, ts):
    for turn in range(2 if strategy > 0 else 1):
        t = tally(s, 0 if turn == 0 else strategy)
        new_day(t, ts)
        t.fills += 1
        t.fills_day += 1


@jit_shared
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


@jit_call
def bury(s, o):
    """Remember a canceled or expired order; the oldest one remembered makes room."""
    a = account(s)
    g = gone_order(s, a.gone % s.gone_count)
    g.order_id, g.cum_qty, g.leaves_qty = o.order_id, o.cum_qty, o.leaves_qty + o.more_qty
    g.instrument, g.strategy, g.side, g.product = o.instrument, o.strategy, o.side, o.product
    g.filled_value, g.brokerage, g.parent, g.flags = o.filled_value, o.brokerage, o.parent, o.flags
    a.gone += 1


@jit_shared
def find_gone(s, instrument, order_id):
    """Row of a remembered order, -1 when there is none."""
    for row in range(min(account(s).gone, s.gone_count)):
        g = gone_order(s, row)
        if g.order_id == order_id and g.instrument == instrument:
            return row
    return -1


@jit_shared
def first_after(s, instrument, order_id):
    """Slot of the oldest working order of an instrument that is younger than `order_id`, -1 for none."""
    slot = market(s, instrument).order_head
    while slot >= 0 and order(s, slot).order_id <= order_id:
        slot = order(s, slot).next
    return slot


@jit
def next_after(s, instrument, after, order_id):
    """Where a walk along a chain goes on from `order_id`: at `after`, which came next before that order was met, or
    past it where meeting the order freed that slot, too."""
    return after if after < 0 or order(s, after).order_id > order_id else first_after(s, instrument, order_id)


@jit_call
def owner_of(s, instrument, order_id):
    """The strategy whose order it is, working or remembered; 0 for none."""
    slot = find_slot(s, instrument, order_id)
    if slot >= 0:
        return order(s, slot).strategy
    row = find_gone(s, instrument, order_id)
    return gone_order(s, row).strategy if row >= 0 else 0
