"""The simulated exchange: what a bar does to resting orders, always the worse of what its four prices allow.

An order meets a bar only if it was submitted by the time the bar opened. Within a bar the path is unknown, so:

* MARKET fills at the open.
* STOP_MARKET fills at the open when the bar gaps through the trigger, else at the trigger once touched.
* STOP_LIMIT triggers the same way. Triggered by touch, it fills at the trigger if its limit allows that price, else it
  rests until the next bar; triggered by the open, it is a limit order for the whole bar.
* LIMIT fills at the open when that is as good or better, else at its price only if the bar trades *through* it: a touch
  may have left us in the queue.
* Stops come before limits, so a bar that could do both does the loss first.
* IOC that found no fill in its first bar is canceled.
"""

from kernel.accounting import fee_of
from kernel.codes import Kind, OrderType, Reason, Side, Status, TimeInForce, code
from kernel.events import VENUE_SIM, emit, report
from kernel.jit import jit, jit_call
from kernel.tables import instrument_row, market, order
from kernel.units import DOWN, HALF_UP, PX_MAX, QTY_MAX, fits_product, mul_div

MARKET, LIMIT = code(OrderType.MARKET), code(OrderType.LIMIT)
STOP_MARKET, STOP_LIMIT = code(OrderType.STOP_MARKET), code(OrderType.STOP_LIMIT)
BUY, IOC = code(Side.BUY), code(TimeInForce.IOC)
FILLED, TRIGGERED, CANCELED = code(Kind.ORDER_FILLED), code(Kind.ORDER_TRIGGERED), code(Kind.ORDER_CANCELED)
RESTATED = code(Kind.ORDER_RESTATED)
ST_FILLED, ST_TRIGGERED, ST_CANCELED = code(Status.FILLED), code(Status.TRIGGERED), code(Status.CANCELED)
OVERFLOW = code(Reason.OVERFLOW)
NOT_FILLED_AT_ONCE, SPLIT_LEFT_NOTHING = code(Reason.NOT_FILLED_AT_ONCE), code(Reason.SPLIT_LEFT_NOTHING)
MARKETS, STOPS, LIMITS = 0, 1, 2  # the passes over a bar, in order


@jit
def match(s, bar):
    """Match the working orders of the bar's instrument; fills follow the bar in `seq` and name it as their cause."""
    if market(s, bar.instrument).order_head >= 0:
        match_orders(s, bar)


@jit_call
def match_orders(s, bar):
    for turn in range(3):
        slot = market(s, bar.instrument).order_head
        while slot >= 0:
            o = order(s, slot)
            after = o.next  # read first: a fill frees the slot
            if o.ts_submitted <= bar.ts_open and _turn_of(o) == turn:
                _meet(s, bar, o, turn)
            slot = after
    slot = market(s, bar.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        after = o.next
        if o.tif == IOC and o.ts_submitted <= bar.ts_open:
            e = report(s, CANCELED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
            e.status, e.reason = ST_CANCELED, NOT_FILLED_AT_ONCE
            emit(s, e)
        slot = after


@jit
def _turn_of(o):
    """The pass an order is looked at in: a stop that was set off is a market or limit order from then on."""
    set_off = o.triggered_by > 0 or o.cum_qty > 0
    if o.order_type == MARKET or (o.order_type == STOP_MARKET and set_off):
        return MARKETS
    if o.order_type == LIMIT or set_off:
        return LIMITS
    return STOPS


@jit
def _meet(s, bar, o, turn):
    px = 0
    if turn == MARKETS:
        px = bar.open
    elif turn == STOPS:
        px = _meet_stop(s, bar, o)
    elif o.triggered_by != bar.seq:  # what the stop pass left is for the next bar
        px = limit_fill_px(bar, o.side, o.px)
    if px > 0:
        fill(s, bar, o, px)


@jit
def limit_fill_px(bar, side, px):
    """Where a resting limit order fills in this bar, 0 for nowhere."""
    if side == BUY:
        if bar.open <= px:
            return bar.open
        return px if bar.low < px else 0
    if bar.open >= px:
        return bar.open
    return px if bar.high > px else 0


@jit
def stop_fill_px(bar, side, trigger_px):
    """Where a stop is set off in this bar, 0 for nowhere."""
    if side == BUY:
        if bar.open >= trigger_px:
            return bar.open
        return trigger_px if bar.high >= trigger_px else 0
    if bar.open <= trigger_px:
        return bar.open
    return trigger_px if bar.low <= trigger_px else 0


@jit_call
def _meet_stop(s, bar, o):
    """Where a stop order that this bar may set off fills, 0 for nowhere."""
    px = stop_fill_px(bar, o.side, o.trigger_px)
    if px == 0 or o.order_type == STOP_MARKET:
        return px
    e = report(s, TRIGGERED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
    e.status = ST_TRIGGERED
    emit(s, e)
    if px == bar.open:
        return limit_fill_px(bar, o.side, o.px)
    return px if (o.px - px) * o.side >= 0 else 0


@jit_call
def fill(s, bar, o, px):
    """Fill all that is left of `o` at `px`."""
    qty = o.leaves_qty
    if not fits_product(qty, px):
        e = report(s, CANCELED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
        e.status, e.reason = ST_CANCELED, OVERFLOW
        emit(s, e)
        return
    e = report(s, FILLED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
    e.qty, e.px, e.fee = qty, px, fee_of(s, qty, px)
    e.cum_qty, e.leaves_qty, e.status = o.cum_qty + qty, 0, ST_FILLED
    emit(s, e)


@jit_call
def restate_orders(s, split):
    """Restate working orders for a split: quantities down to whole shares, prices to the nearest tick."""
    tick = instrument_row(s, split.instrument).tick
    slot = market(s, split.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        after = o.next
        qty = mul_div(o.qty, split.numerator, split.denominator, DOWN)
        cum = mul_div(o.cum_qty, split.numerator, split.denominator, DOWN)
        e = report(s, RESTATED, VENUE_SIM, o, split.seq, split.ts_event, split.ts_init)
        e.px = mul_div(o.px, split.denominator, split.numerator * tick, HALF_UP) * tick
        e.trigger_px = mul_div(o.trigger_px, split.denominator, split.numerator * tick, HALF_UP) * tick
        e.qty, e.cum_qty, e.leaves_qty, e.status = qty, cum, qty - cum, o.status
        no_price = (o.px > 0 and e.px == 0) or (o.trigger_px > 0 and e.trigger_px == 0)
        too_large = qty >= QTY_MAX or e.px >= PX_MAX or e.trigger_px >= PX_MAX
        if qty - cum <= 0 or no_price or too_large:
            e.kind, e.status, e.reason = CANCELED, ST_CANCELED, SPLIT_LEFT_NOTHING
            e.qty, e.cum_qty, e.leaves_qty, e.px, e.trigger_px = o.qty, o.cum_qty, o.leaves_qty, o.px, o.trigger_px
        emit(s, e)
        slot = after
