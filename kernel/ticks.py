"""Quotes and trades: what they do to prices and to the queue (evolve's part), and what they do to resting orders.

An instrument that has ticks is matched by them and no longer by bars.

* A market order, and a stop that was set off, takes the other side of the quote, up to the size shown there, all our
  orders together; what is left takes the next quote. Where a trade says that the quote is no longer true, the worse of
  both. Without quotes it takes the next trade.
* A limit order that is marketable with the first tick it sees takes the quote; later, the market comes to it and it
  fills at its own price, when the other side of the quote reaches it, or when somebody trades through it. At its very
  price it fills only with `queue`: once what stood before it there, as the quote showed, has traded.
* A stop is set off by trades; where there are none, by the other side of the quote.
* `participation` is the share of a shown or traded size that is there for us, all of it by default.

A price further than `tick_band` from the mark is a bad tick: counted, not folded, unless the next ones agree with it.
"""

from kernel.arrival import take_arrivals
from kernel.codes import Kind, OrderType, Reason, Side, Status, TimeInForce, code
from kernel.events import VENUE_SIM, emit, report
from kernel.execution import end_order, fill_qty, slipped_by
from kernel.gateway import has_latency
from kernel.jit import jit, jit_call
from kernel.orders import is_there, next_after
from kernel.protection import protected_px
from kernel.tables import bound, instrument_row, market, order, rules
from kernel.units import DOWN, SHARE, mul_div

QUOTE, TRADE = code(Kind.QUOTE), code(Kind.TRADE)
MARKET, LIMIT, STOP_LIMIT = code(OrderType.MARKET), code(OrderType.LIMIT), code(OrderType.STOP_LIMIT)
BUY, IOC, FOK, GTD = code(Side.BUY), code(TimeInForce.IOC), code(TimeInForce.FOK), code(TimeInForce.GTD)
TRIGGERED, CANCELED, EXPIRED = code(Kind.ORDER_TRIGGERED), code(Kind.ORDER_CANCELED), code(Kind.ORDER_EXPIRED)
ST_TRIGGERED, ST_CANCELED, ST_EXPIRED = code(Status.TRIGGERED), code(Status.CANCELED), code(Status.EXPIRED)
ST_PENDING_CANCEL, ST_PENDING_REPLACE = code(Status.PENDING_CANCEL), code(Status.PENDING_REPLACE)
NOT_FILLED_AT_ONCE, TIME_PASSED = code(Reason.NOT_FILLED_AT_ONCE), code(Reason.TIME_PASSED)


@jit_call
def match_tick(s, e):
    """Match the working orders of the tick's instrument."""
    m = market(s, e.instrument)
    bound(s, e.instrument).taken = 0
    if has_latency(s):
        take_arrivals(s, e, e.ts_init)
    slot = m.order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        there = is_there(s, m, o.ts_submitted, o.bars_submitted, e.ts_init) and o.order_id < e.seq
        if there and o.tif == GTD and o.expire_ts <= e.ts_init:
            end_order(s, o, EXPIRED, ST_EXPIRED, TIME_PASSED, e)
        elif there and o.leaves_qty > 0:
            _meet(s, e, m, o)
        slot = next_after(s, e.instrument, after, last)
    _end_at_once(s, e, m)


@jit_call
def _end_at_once(s, e, m):
    slot = m.order_head
    while slot >= 0:
        o = order(s, slot)
        last, after = o.order_id, o.next
        there = o.leaves_qty > 0 and is_there(s, m, o.ts_submitted, o.bars_submitted, e.ts_init) and o.order_id < e.seq
        if (o.tif == IOC or o.tif == FOK) and there:
            end_order(s, o, CANCELED, ST_CANCELED, NOT_FILLED_AT_ONCE, e)
        slot = next_after(s, e.instrument, after, last)


@jit_call
def _meet(s, e, m, o):
    stop = o.order_type != MARKET and o.order_type != LIMIT
    if stop and o.set_off == 0:
        if not _sets_off(e, m, o):
            return
        t = report(s, TRIGGERED, VENUE_SIM, o, e.seq, e.ts_event, e.ts_init)
        t.status = o.status if o.status == ST_PENDING_CANCEL or o.status == ST_PENDING_REPLACE else ST_TRIGGERED
        emit(s, t)
    if o.order_type == LIMIT or o.order_type == STOP_LIMIT:
        _meet_limit(s, e, m, o, o.px)
        return
    worst = o.px if o.order_type == MARKET else protected_px(s, o.instrument, o.side, o.trigger_px)
    px, qty = _offered(e, m, o)
    found = slipped_by(s, o, px, 0) if px > 0 else 0
    if found > 0 and (worst == 0 or (worst - found) * o.side >= 0):
        _fill(s, e, o, qty, found)
    elif worst > 0:
        _meet_limit(s, e, m, o, worst)


@jit
def _sets_off(e, m, o):
    if e.kind == TRADE:
        return (e.trade_px - o.trigger_px) * o.side >= 0
    px = m.ask_px if o.side == BUY else m.bid_px
    return m.trades_seen == 0 and px > 0 and (px - o.trigger_px) * o.side >= 0


@jit
def _offered(e, m, o):
    """(price, quantity) that an order which takes what it finds finds now."""
    if m.ask_px == 0 and m.bid_px == 0:
        return e.trade_px, e.trade_qty
    px, qty = (m.ask_px, m.ask_qty - m.ask_taken) if o.side == BUY else (m.bid_px, m.bid_qty - m.bid_taken)
    if e.kind == TRADE and px > 0 and (e.trade_px - px) * o.side > 0:
        px = e.trade_px  # the quote is older than this trade, and was better
    return px, qty


@jit_call
def _meet_limit(s, e, m, o, px):
    if e.kind == QUOTE or o.ticks == 1:  # the first tick it sees finds the quote as it stands
        offered, shown = _offered(e, m, o)
        if offered > 0 and (px - offered) * o.side >= 0:
            _fill(s, e, o, shown, offered if o.ticks == 1 else px)
            return
    if e.kind != TRADE or o.tif == IOC or o.tif == FOK:
        return
    if (px - e.trade_px) * o.side > 0:
        _fill(s, e, o, e.trade_qty, px)
    elif px == e.trade_px and rules(s).queue != 0 and o.queue < 0:
        _fill(s, e, o, -o.queue, px)


@jit_call
def _fill(s, e, o, shown, px):
    """Fill what there is of `shown` for us."""
    share = SHARE if rules(s).participation == 0 else rules(s).participation
    lot = max(1, instrument_row(s, o.instrument).lot)
    most = mul_div(max(0, shown), share, SHARE, DOWN) - bound(s, o.instrument).taken
    most -= most % lot
    if o.tif == FOK and most < o.leaves_qty:
        return
    qty = min(most, o.leaves_qty)
    if qty > 0:
        fill_qty(s, e, o, qty, px)
