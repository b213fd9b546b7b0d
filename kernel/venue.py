"""The simulated exchange: what a bar does to resting orders, always the worse of what its four prices allow.

An order meets a bar only if it was submitted by the time the bar opened. Within a bar the path is unknown, so:

* MARKET fills at the open.
* STOP_MARKET fills at the open when the bar gaps through the trigger, else at the trigger once touched. TRAILING_STOP
  is one whose trigger follows the bars before this one: how far this bar moved it is known only when it is over.
* STOP_LIMIT triggers the same way. Triggered by touch, it fills at the trigger if its limit allows that price, else it
  rests until the next bar; triggered by the open, it is a limit order for the whole bar.
* LIMIT fills at the open when that is as good or better, else at its price only if the bar trades *through* it: a touch
  may have left us in the queue.
* Stops come before limits, so a bar that could do both does the loss first.
* An order that waited for its parent is live from the parent's fill on. A stop is set off by any price of the bar on
  its wrong side, since that may have come later; a limit can be met only where the parent filled at the open.
* IOC that found no fill in its first bar is canceled, and so is FOK that found less than all of it. GTD meets bars that
  open before its time is over. DAY ends with its session (a TIMER), IOC and FOK with their bar.
"""

from kernel.accounting import fee_of
from kernel.codes import Flag, Kind, OrderType, Reason, Side, Status, TimeInForce, code
from kernel.events import VENUE_SIM, emit, report
from kernel.jit import jit, jit_call
from kernel.links import settle_links
from kernel.orders import next_after
from kernel.tables import account, instrument_row, market, order, rules
from kernel.units import DOWN, HALF_UP, PX_MAX, QTY_MAX, fits_product, mul_div

MARKET, LIMIT = code(OrderType.MARKET), code(OrderType.LIMIT)
STOP_MARKET, STOP_LIMIT = code(OrderType.STOP_MARKET), code(OrderType.STOP_LIMIT)
TRAILING_STOP = code(OrderType.TRAILING_STOP)
BUY, IOC, FOK = code(Side.BUY), code(TimeInForce.IOC), code(TimeInForce.FOK)
DAY, GTC, GTD = code(TimeInForce.DAY), code(TimeInForce.GTC), code(TimeInForce.GTD)
FILLED, TRIGGERED, CANCELED = code(Kind.ORDER_FILLED), code(Kind.ORDER_TRIGGERED), code(Kind.ORDER_CANCELED)
RESTATED, EXPIRED = code(Kind.ORDER_RESTATED), code(Kind.ORDER_EXPIRED)
ST_FILLED, ST_TRIGGERED, ST_CANCELED = code(Status.FILLED), code(Status.TRIGGERED), code(Status.CANCELED)
ST_EXPIRED, ST_PENDING_NEW = code(Status.EXPIRED), code(Status.PENDING_NEW)
OVERFLOW, SESSION_ENDED, TIME_PASSED = code(Reason.OVERFLOW), code(Reason.SESSION_ENDED), code(Reason.TIME_PASSED)
NOT_FILLED_AT_ONCE, SPLIT_LEFT_NOTHING = code(Reason.NOT_FILLED_AT_ONCE), code(Reason.SPLIT_LEFT_NOTHING)
REDUCE_ONLY = code(Flag.REDUCE_ONLY)
MARKETS, STOPS, LIMITS, RELEASED_STOPS, RELEASED_LIMITS = 0, 1, 2, 3, 4  # the passes over a bar, in order
TIMED, AT_ONCE = 1 << MARKETS | 1 << 5, 1 << 6  # there is an order of a time, of one bar


@jit
def match(s, bar):
    """Match the working orders of the bar's instrument; fills follow the bar in `seq` and name it as their cause."""
    if market(s, bar.instrument).order_head >= 0:
        match_orders(s, bar)


@jit_call
def match_orders(s, bar):
    wanted = _look(s, bar)
    if wanted == 0:
        return
    for turn in range(RELEASED_LIMITS + 1):
        if wanted >> turn & 1 or (turn >= RELEASED_STOPS and account(s).linked > 0):
            _pass_over(s, bar, turn)
    if wanted & AT_ONCE:
        _end_at_once(s, bar)


@jit
def _look(s, bar):
    """The passes in which any order is met, as bits, with TIMED and AT_ONCE where there are such orders.

    Most bars reach none of the orders that rest: one look at each is all they cost. What a pass changes is looked at
    in the passes after it; what it releases or moves is met in the last two or by the next bar.
    """
    wanted = 0
    slot = market(s, bar.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        turn = _turn_of(o, bar)
        if turn == MARKETS:
            wanted |= 1 << MARKETS
        elif turn == STOPS and stop_fill_px(bar, o.side, o.trigger_px, bar.open) > 0:
            wanted |= 1 << STOPS
        elif turn == LIMITS and limit_fill_px(bar, o.side, o.px) > 0:
            wanted |= 1 << LIMITS
        if o.tif != GTC:
            wanted |= TIMED if o.tif == GTD else AT_ONCE if o.tif != DAY else 0
        slot = o.next
    return wanted


@jit_call
def _pass_over(s, bar, turn):
    slot = market(s, bar.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next  # read first: a fill frees the slot, and maybe those of others
        if turn == MARKETS and o.tif == GTD and o.expire_ts <= bar.ts_open:
            _end(s, o, EXPIRED, ST_EXPIRED, TIME_PASSED, bar)
        elif o.leaves_qty > 0 and _turn_of(o, bar) == turn:
            _meet(s, bar, o, turn)
        slot = next_after(s, bar.instrument, after, last)


@jit_call
def _end_at_once(s, bar):
    """Cancel what is left of the orders that live for one bar."""
    slot = market(s, bar.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        if (o.tif == IOC or o.tif == FOK) and o.ts_submitted <= bar.ts_open and o.leaves_qty > 0:
            _end(s, o, CANCELED, ST_CANCELED, NOT_FILLED_AT_ONCE, bar)
        slot = next_after(s, bar.instrument, after, last)


@jit_call
def _end(s, o, kind, status, reason, cause):
    """The exchange ends an order, and what waited for it learns of that."""
    strategy, instrument = o.strategy, o.instrument
    e = report(s, kind, VENUE_SIM, o, cause.seq, cause.ts_event, cause.ts_init)
    e.status, e.reason = status, reason
    emit(s, e)
    settle_links(s, strategy, instrument, e)


@jit_call
def end_day(s, timer):
    """Expire the day orders of a session that is over: those of its calendar that were sent before it closed."""
    for instrument in range(rules(s).instruments):
        if instrument_row(s, instrument).calendar != timer.setting:
            continue
        slot = market(s, instrument).order_head
        while slot >= 0:
            o = order(s, slot)
            last, after = o.order_id, o.next
            if o.tif == DAY and o.ts_submitted < timer.ts_event:
                _end(s, o, EXPIRED, ST_EXPIRED, SESSION_ENDED, timer)
            slot = next_after(s, instrument, after, last)


@jit
def _turn_of(o, bar):
    """The pass an order is looked at in, -1 for none: a stop that was set off is a market or limit order afterwards."""
    set_off = o.triggered_by > 0 or o.cum_qty > 0
    if o.ts_submitted > bar.ts_open:
        if o.entry_seq != bar.seq or set_off:
            return -1
        return RELEASED_LIMITS if o.order_type == LIMIT else RELEASED_STOPS
    if o.order_type == MARKET or (_is_stop_market(o) and set_off):
        return MARKETS
    if o.order_type == LIMIT or set_off:
        return LIMITS
    return STOPS


@jit
def _is_stop_market(o):
    return o.order_type == STOP_MARKET or o.order_type == TRAILING_STOP


@jit
def _meet(s, bar, o, turn):
    px = 0
    if turn == MARKETS:
        px = bar.open
    elif turn == STOPS:
        px = _meet_stop(s, bar, o, bar.open)
    elif turn == LIMITS:
        if o.triggered_by != bar.seq:  # what the stop pass left is for the next bar
            px = limit_fill_px(bar, o.side, o.px)
    elif turn == RELEASED_STOPS:
        px = _meet_stop(s, bar, o, o.entry_px)
    elif o.entry_px == bar.open:
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
def stop_fill_px(bar, side, trigger_px, first_px):
    """Where a stop is set off in this bar, of which `first_px` is the first price it sees; 0 for nowhere."""
    if side == BUY:
        if first_px >= trigger_px:
            return first_px
        return trigger_px if bar.high >= trigger_px else 0
    if first_px <= trigger_px:
        return first_px
    return trigger_px if bar.low <= trigger_px else 0


@jit_call
def _meet_stop(s, bar, o, first_px):
    """Where a stop order that this bar may set off fills, 0 for nowhere."""
    px = stop_fill_px(bar, o.side, o.trigger_px, first_px)
    if px == 0 or _is_stop_market(o):
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
        _end(s, o, CANCELED, ST_CANCELED, OVERFLOW, bar)
        return
    strategy, instrument = o.strategy, o.instrument
    e = report(s, FILLED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
    e.qty, e.px, e.fee = qty, px, fee_of(s, qty, px)
    e.cum_qty, e.leaves_qty, e.status = o.cum_qty + qty, 0, ST_FILLED
    emit(s, e)
    settle_links(s, strategy, instrument, e)


@jit_call
def restate_orders(s, split):
    """Restate working orders for a split: quantities down to whole shares, prices to the nearest tick."""
    tick = instrument_row(s, split.instrument).tick
    slot = market(s, split.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        after = o.next
        whole = o.full_qty if o.status == ST_PENDING_NEW else o.qty
        qty = mul_div(whole, split.numerator, split.denominator, DOWN)
        cum = mul_div(o.cum_qty, split.numerator, split.denominator, DOWN)
        e = report(s, RESTATED, VENUE_SIM, o, split.seq, split.ts_event, split.ts_init)
        e.px = mul_div(o.px, split.denominator, split.numerator * tick, HALF_UP) * tick
        e.trigger_px = mul_div(o.trigger_px, split.denominator, split.numerator * tick, HALF_UP) * tick
        e.trail = mul_div(o.trail, split.denominator, split.numerator * tick, HALF_UP) * tick
        e.qty, e.cum_qty, e.leaves_qty, e.status = qty, cum, qty - cum, o.status
        no_price = (o.px > 0 and e.px == 0) or (o.trigger_px > 0 and e.trigger_px == 0)
        too_large = qty >= QTY_MAX or e.px >= PX_MAX or e.trigger_px >= PX_MAX
        no_price = no_price or (o.trail > 0 and e.trail == 0)
        if qty - cum <= 0 or no_price or too_large:
            e.kind, e.status, e.reason = CANCELED, ST_CANCELED, SPLIT_LEFT_NOTHING
            e.qty, e.cum_qty, e.leaves_qty, e.px, e.trigger_px = o.qty, o.cum_qty, o.leaves_qty, o.px, o.trigger_px
        emit(s, e)
        slot = after
