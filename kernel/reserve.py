"""Cash set aside for working orders, so that no fill near its price can overdraw the account.

It is kept a position and side, not an order: whichever of several orders fills first may close the position, and the
others then open one. What is set aside is the most that all of them together can come to open: the value of them all,
less what closes the position, counted at the cheapest of their prices. Nothing is set aside for what only closes, its
fee included: closing must always be possible.
"""

from kernel.accounting import fee_of
from kernel.amounts import amount, fits_amount, in_base
from kernel.charges import charges_for
from kernel.codes import Flag, Status, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.margin import block
from kernel.tables import account, instrument_row, market, order, position, purse, tally
from kernel.units import MONEY_MAX, PX_MAX

_REDUCE_ONLY, _PENDING_NEW = code(Flag.REDUCE_ONLY), code(Status.PENDING_NEW)


@jit
def may_open(o):
    """Whether a working order counts: one that waits for its parent, or only reduces, opens nothing."""
    return (o.flags & _REDUCE_ONLY) == 0 and o.status != _PENDING_NEW


@jit_call
def cheapest_px(s, strategy, instrument, side):
    """Lowest price a working order of this position and side is valued at; PX_MAX without any."""
    px = PX_MAX
    slot = market(s, instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        if o.strategy == strategy and o.side == side and o.reserve_px < px and may_open(o):
            px = o.reserve_px
        slot = o.next
    return px


@jit_shared
def cash_for(s, instrument, product, side, qty, px, filled, charged):
    """What filling `qty` at `px` takes from free cash, money: what it blocks, the fee and the charges of an order that
    was filled for `filled` before and charged `charged` of brokerage."""
    worth = amount(s, instrument, qty, px)
    costs = fee_of(s, worth) + charges_for(s, instrument, product, side, account(s).ts, worth, filled, charged)
    return block(s, instrument, product, side, qty, px, 1) + costs


@jit
def closable(side, held):
    """How much an order of `side` can close of a position of `held`."""
    return max(0, -side * held)


@jit_shared
def to_set_aside(s, strategy, instrument, product, side, working, value, px):
    """Cash for `working` orders of a side that are worth `value` together; `px` is that of one that is not yet working,
    PX_MAX for none."""
    closes = closable(side, position(s, strategy, instrument).qty)
    if working <= closes:
        return 0
    if closes == 0:
        return value
    freed = block(s, instrument, product, side, closes, min(px, cheapest_px(s, strategy, instrument, side)), 0)
    return max(0, value - freed)


@jit_shared
def set_aside(s, strategy, instrument):
    """Set cash aside anew for the working orders of a position."""
    p = position(s, strategy, instrument)
    buy = to_set_aside(s, strategy, instrument, p.product, 1, p.working_buy, p.value_buy, PX_MAX)
    sell = to_set_aside(s, strategy, instrument, p.product, -1, p.working_sell, p.value_sell, PX_MAX)
    purse(s, instrument_row(s, instrument).currency).reserved += buy + sell - p.reserved_buy - p.reserved_sell
    p.reserved_buy, p.reserved_sell = buy, sell


@jit
def _count_notional(s, o):
    """Count what it may open, for the limits of the account and of its strategy."""
    worth = 0
    if o.leaves_qty + o.more_qty > 0 and may_open(o):
        px = max(o.reserve_px, o.next_reserve_px)
        worth = in_base(
            s, instrument_row(s, o.instrument).currency, amount(s, o.instrument, o.leaves_qty + o.more_qty, px)
        )
    change = worth - o.notional
    market(s, o.instrument).notional += change
    for turn in range(2 if o.strategy > 0 else 1):
        t = tally(s, o.strategy if turn == 1 else 0)
        t.notional += change
        if o.side > 0:
            t.notional_buy += change
    o.notional = worth


@jit_call
def value_order(s, o):
    """Count a working order at what is left of it, and at what a change under way may make of that; at nothing once
    nothing is left."""
    p = position(s, o.strategy, o.instrument)
    value = 0
    if o.leaves_qty + o.more_qty > 0 and may_open(o):
        qty, px = o.leaves_qty + o.more_qty, max(o.reserve_px, o.next_reserve_px)
        assert fits_amount(s, o.instrument, qty, px), "an order is worth more than money holds"
        value = cash_for(s, o.instrument, o.product, o.side, qty, px, o.filled_value, o.brokerage)
    _count_notional(s, o)
    if o.side > 0:
        p.value_buy += value - o.value
    else:
        p.value_sell += value - o.value
    o.value = value
    assert p.value_buy < MONEY_MAX and p.value_sell < MONEY_MAX, "working orders are worth more than money holds"
