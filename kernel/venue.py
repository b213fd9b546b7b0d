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
* IOC and FOK are met by the first price of their first bar and by no other: what that does not fill is canceled, and of
  FOK all where it fills less than all. GTD meets bars that open before its time is over. DAY ends with its session (a
  TIMER).
* How much of an order a bar fills, and how much worse than these prices, is up to `kernel/execution.py`; when an order
  is there, to `kernel/arrival.py`.
"""

from kernel.arrival import take_arrivals
from kernel.codes import Kind, OrderType, Reason, Side, Status, TimeInForce, code
from kernel.events import VENUE_SIM, emit, report
from kernel.execution import end_order, fill, fillable, limit_fill_px, taken_px
from kernel.gateway import has_latency
from kernel.jit import jit, jit_call
from kernel.links import settle_links
from kernel.orders import is_there, next_after
from kernel.tables import account, bound, instrument_row, market, order, rules
from kernel.units import DOWN, HALF_UP, PX_MAX, QTY_MAX, mul_div

MARKET, LIMIT = code(OrderType.MARKET), code(OrderType.LIMIT)
STOP_MARKET, STOP_LIMIT = code(OrderType.STOP_MARKET), code(OrderType.STOP_LIMIT)
TRAILING_STOP = code(OrderType.TRAILING_STOP)
BUY, IOC, FOK = code(Side.BUY), code(TimeInForce.IOC), code(TimeInForce.FOK)
DAY, GTC, GTD = code(TimeInForce.DAY), code(TimeInForce.GTC), code(TimeInForce.GTD)
TRIGGERED, CANCELED = code(Kind.ORDER_TRIGGERED), code(Kind.ORDER_CANCELED)
RESTATED, EXPIRED = code(Kind.ORDER_RESTATED), code(Kind.ORDER_EXPIRED)
ST_TRIGGERED, ST_CANCELED = code(Status.TRIGGERED), code(Status.CANCELED)
ST_EXPIRED, ST_PENDING_NEW = code(Status.EXPIRED), code(Status.PENDING_NEW)
ST_PENDING_CANCEL, ST_PENDING_REPLACE = code(Status.PENDING_CANCEL), code(Status.PENDING_REPLACE)
SESSION_ENDED, TIME_PASSED = code(Reason.SESSION_ENDED), code(Reason.TIME_PASSED)
NOT_FILLED_AT_ONCE, SPLIT_LEFT_NOTHING = code(Reason.NOT_FILLED_AT_ONCE), code(Reason.SPLIT_LEFT_NOTHING)
INSTRUMENT_EXPIRED = code(Reason.INSTRUMENT_EXPIRED)
MARKETS, STOPS, LIMITS, RELEASED_STOPS, RELEASED_LIMITS = 0, 1, 2, 3, 4  # the passes over a bar, in order
TIMED, AT_ONCE = 1 << MARKETS | 1 << 5, 1 << 6  # there is an order of a time, of one bar


@jit
def match(s, bar):
    """Match the working orders of the bar's instrument; fills follow the bar in `seq` and name it as their cause."""
    m = market(s, bar.instrument)
    if m.order_head >= 0 and m.ticks == 0:
        b = bound(s, bar.instrument)
        if b.rests == 0 or bar.high >= b.up_px or bar.low <= b.down_px:
            match_orders(s, bar)


@jit_call
def match_orders(s, bar):
    bound(s, bar.instrument).taken = 0
    if has_latency(s):
        take_arrivals(s, bar, bar.ts_open)
    wanted = _look(s, bar)
    if wanted == 0:
        return
    for turn in range(RELEASED_LIMITS + 1):
        if wanted >> turn & 1 or (turn >= RELEASED_STOPS and account(s).linked > 0):
            _pass_over(s, bar, turn)
    if wanted & AT_ONCE:
        _end_at_once(s, bar)
    bound(s, bar.instrument).rests = 0  # what was met may look different now


@jit
def _look(s, bar):
    """The passes in which any order is met, as bits, with TIMED and AT_ONCE where there are such orders; and between
    which prices the next bars may be without meeting any.

    Most bars reach none of the orders that rest: one look at each is all they cost, and not even that as long as prices
    stay between those two. What a pass changes is looked at in the passes after it; what it releases or moves is met in
    the last two or by the next bar.
    """
    wanted, rests, up, down = 0, 1, PX_MAX, 0
    slot = market(s, bar.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        turn = _turn_of(s, o, bar)
        if turn == MARKETS:
            wanted |= 1 << MARKETS
        elif turn == STOPS:
            if stop_fill_px(bar, o.side, o.trigger_px, bar.open) > 0:
                wanted |= 1 << STOPS
            if o.side == BUY:
                up = min(up, o.trigger_px)
            else:
                down = max(down, o.trigger_px)
        elif turn == LIMITS:
            if limit_fill_px(bar, o.side, o.px) > 0:
                wanted |= 1 << LIMITS
            if o.side == BUY:
                down = max(down, o.px)
            else:
                up = min(up, o.px)
        if o.tif != GTC:
            wanted |= TIMED if o.tif == GTD else AT_ONCE if o.tif != DAY else 0
        if (turn != STOPS and turn != LIMITS) or o.order_type == TRAILING_STOP or (o.tif != GTC and o.tif != DAY):
            rests = 0
        slot = o.next
    b = bound(s, bar.instrument)
    b.up_px, b.down_px = up, down
    b.rests = 0 if has_latency(s) else rests
    return wanted


@jit_call
def _pass_over(s, bar, turn):
    slot = market(s, bar.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next  # read first: a fill frees the slot, and maybe those of others
        if turn == MARKETS and o.tif == GTD and o.expire_ts <= bar.ts_open:
            end_order(s, o, EXPIRED, ST_EXPIRED, TIME_PASSED, bar)
        elif o.leaves_qty > 0 and _turn_of(s, o, bar) == turn:
            _meet(s, bar, o, turn)
        slot = next_after(s, bar.instrument, after, last)


@jit_call
def _end_at_once(s, bar):
    """Cancel what is left of the orders that live for one bar."""
    m = market(s, bar.instrument)
    slot = m.order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        there = o.leaves_qty > 0 and is_there(s, m, o.ts_submitted, o.bars_submitted, bar.ts_open)
        if (o.tif == IOC or o.tif == FOK) and there:
            end_order(s, o, CANCELED, ST_CANCELED, NOT_FILLED_AT_ONCE, bar)
        slot = next_after(s, bar.instrument, after, last)


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
            if o.tif == DAY and o.ts_entered < timer.ts_event:
                end_order(s, o, EXPIRED, ST_EXPIRED, SESSION_ENDED, timer)
            slot = next_after(s, instrument, after, last)


@jit
def _turn_of(s, o, bar):
    """The pass an order is looked at in, -1 for none: a stop that was set off is a market or limit order afterwards."""
    set_off = o.set_off != 0
    if not is_there(s, market(s, o.instrument), o.ts_submitted, o.bars_submitted, bar.ts_open):
        if o.entry_seq != bar.seq or set_off or o.order_type == MARKET or has_latency(s):
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


@jit_call
def _meet(s, bar, o, turn):
    px = 0
    if turn == MARKETS:
        px = taken_px(s, bar, o, bar.open)
    elif turn == STOPS:
        px = _meet_stop(s, bar, o, bar.open)
    elif turn == LIMITS:
        if o.triggered_by != bar.seq:  # what the stop pass left is for the next bar
            px = limit_fill_px(bar, o.side, o.px)
            if (o.tif == IOC or o.tif == FOK) and px != bar.open:
                px = 0
    elif turn == RELEASED_STOPS:
        px = _meet_stop(s, bar, o, o.entry_px)
    elif o.entry_px == bar.open:
        px = limit_fill_px(bar, o.side, o.px)
    if px > 0:
        fill(s, bar, o, px)


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
    if px == 0:
        return 0
    taken = taken_px(s, bar, o, px) if _is_stop_market(o) else 0
    if taken > 0 and fillable(s, bar, o) > 0:
        return taken
    e = report(s, TRIGGERED, VENUE_SIM, o, bar.seq, bar.ts_event, bar.ts_init)
    e.status = o.status if o.status == ST_PENDING_CANCEL or o.status == ST_PENDING_REPLACE else ST_TRIGGERED
    emit(s, e)
    if _is_stop_market(o):
        return 0
    if px == bar.open:
        return limit_fill_px(bar, o.side, o.px)
    return px if (o.px - px) * o.side >= 0 else 0


@jit_call
def end_orders(s, cause):
    """Expire every order of a contract that has ended."""
    slot = market(s, cause.instrument).order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        end_order(s, o, EXPIRED, ST_EXPIRED, INSTRUMENT_EXPIRED, cause)
        slot = next_after(s, cause.instrument, after, last)


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
    for strategy in range(rules(s).strategies + 1):
        settle_links(s, strategy, split.instrument, split)
