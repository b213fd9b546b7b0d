"""Named models of what a fill costs and how much of an order there is for; all are off unless a run turns them on.

Each works on integers, against the order, and is rounded to the tick on the worse side. They apply to what takes the
price it finds (market orders, stops that were set off); a resting limit order fills at its price or not at all.

* `slip_ticks`: so many ticks.
* `slip_share`: a share of the price, such as half the spread.
* `slip_range`: a share of the bar's range, for markets that move.
* `slip_impact`: a share of the bar's range times the square root of (order's part of the bar's volume).
* `slip_random`: 0 to so many ticks, by a counter hash of (seed, order_id, what was filled): the same seed, the same
  fills.
* `participation`: all orders of the run in an instrument together take at most this share of a bar's volume, in whole
  lots; the rest goes on working. A bar without volume fills nothing.
* `band`: a market order, or a stop once it is set off, is a limit order this far from the mark at which it was sent, or
  from its trigger: what the bar does not offer within that rests there (the exchanges' market price protection).
"""

from kernel.accounting import fee_of
from kernel.amounts import amount, fits_amount
from kernel.charges import charges_for, listed
from kernel.codes import Kind, OrderType, Reason, Side, Status, TimeInForce, code
from kernel.events import VENUE_SIM, emit, report
from kernel.jit import jit, jit_call, jit_shared
from kernel.links import settle_links
from kernel.orders import find_gone, find_slot
from kernel.protection import protected_px
from kernel.settle import send_charge
from kernel.tables import bound, gone_order, instrument_row, order, rules
from kernel.units import DOWN, PX_MAX, SHARE, UP, mul_div

MARKET, BUY = code(OrderType.MARKET), code(Side.BUY)
FOK = code(TimeInForce.FOK)
FILLED, CANCELED = code(Kind.ORDER_FILLED), code(Kind.ORDER_CANCELED)
ST_FILLED, ST_CANCELED = code(Status.FILLED), code(Status.CANCELED)
ST_PARTIALLY_FILLED, ST_PENDING_CANCEL = code(Status.PARTIALLY_FILLED), code(Status.PENDING_CANCEL)
ST_PENDING_REPLACE = code(Status.PENDING_REPLACE)
OVERFLOW = code(Reason.OVERFLOW)
MILLION = 1_000_000
_PRIME = 2_147_483_647


@jit
def square_root(x):
    """The whole part of the square root of 0 <= x < 2**62."""
    if x < 2:
        return x
    low, high = 1, 1 << 31
    while high - low > 1:
        middle = (low + high) >> 1
        if middle * middle <= x:
            low = middle
        else:
            high = middle
    return low


@jit
def draw(seed, order_id, n, most):
    """A whole number from 0 to `most` that depends on nothing but its arguments."""
    h = seed % _PRIME + 1
    for word in (seed >> 31, order_id % _PRIME, order_id >> 31, n % _PRIME, n >> 31, 0, 0):
        h = (h * 48_271 + word % _PRIME + 12_345) % _PRIME
    return h % (most + 1)


@jit_call
def slipped(s, bar, o, qty, px):
    """`px` moved against the order by the run's slippage."""
    r = rules(s)
    if r.slips == 0:
        return px
    spread = bar.high - bar.low
    away = mul_div(spread, r.slip_range, SHARE, UP)
    if r.slip_impact > 0 and bar.volume > 0:
        part = square_root(mul_div(min(qty, bar.volume), MILLION * MILLION, bar.volume, UP))  # of one, in millionths
        away += mul_div(mul_div(spread, part, MILLION, UP), r.slip_impact, SHARE, UP)
    return slipped_by(s, o, px, away)


@jit_shared
def slipped_by(s, o, px, more):
    """`px` moved against the order by what does not hang on a bar, and by `more`."""
    r, tick = rules(s), max(1, instrument_row(s, o.instrument).tick)
    if r.slips == 0:
        return px
    away = more + r.slip_ticks * tick + mul_div(px, r.slip_share, SHARE, UP)
    if r.slip_random > 0:
        away += draw(r.seed, o.order_id, o.cum_qty, r.slip_random) * tick
    if away == 0:
        return px
    if o.side == BUY:
        return min(PX_MAX - 1, mul_div(px + away, 1, tick, UP) * tick)
    return max(tick, mul_div(max(0, px - away), 1, tick, DOWN) * tick)


@jit_call
def taken_px(s, bar, o, px):
    """Where an order that takes what it finds at `px` fills, 0 for nowhere in this bar."""
    worst = o.px if o.order_type == MARKET else protected_px(s, o.instrument, o.side, o.trigger_px)
    found = slipped(s, bar, o, o.leaves_qty, px)
    if worst == 0 or (worst - found) * o.side >= 0:
        return found
    return limit_fill_px(bar, o.side, worst)


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


@jit_call
def fillable(s, bar, o):
    """How much of what is left of an order this bar has room for."""
    r = rules(s)
    if r.participation == 0:
        return o.leaves_qty
    lot = max(1, instrument_row(s, o.instrument).lot)
    most = mul_div(bar.volume, r.participation, SHARE, DOWN) - bound(s, o.instrument).taken
    most -= most % lot
    if o.tif == FOK and most < o.leaves_qty:
        return 0
    return max(0, min(most, o.leaves_qty))


@jit_call
def fill(s, bar, o, px):
    """Fill what the bar has room for of `o` at `px`."""
    qty = fillable(s, bar, o)
    if qty > 0:
        fill_qty(s, bar, o, qty, px)


@jit_call
def fill_qty(s, cause, o, qty, px):
    """Fill `qty` of `o` at `px`, with its charges and what hangs on it."""
    strategy, instrument = o.strategy, o.instrument
    if not fits_amount(s, instrument, qty, px):
        end_order(s, o, CANCELED, ST_CANCELED, OVERFLOW, cause)
        return
    bound(s, instrument).taken += qty
    e = report(s, FILLED, VENUE_SIM, o, cause.seq, cause.ts_event, cause.ts_init)
    e.qty, e.px, e.fee = qty, px, fee_of(s, amount(s, instrument, qty, px))
    e.cum_qty, e.leaves_qty = o.cum_qty + qty, o.leaves_qty - qty
    e.status = ST_FILLED
    if e.leaves_qty > 0 or o.more_qty > 0:
        pending = o.status == ST_PENDING_CANCEL or o.status == ST_PENDING_REPLACE
        e.status = o.status if pending else ST_PARTIALLY_FILLED
    if instrument_row(s, instrument).segment == 0:
        emit(s, e)
    else:
        order_id, lines = o.order_id, fill_charges(s, e)
        emit(s, e)
        send_charge(s, e, strategy, instrument, order_id, lines)
    settle_links(s, strategy, instrument, e)


@jit_call
def fill_charges(s, e):
    """The lines that the fill in event `e` is charged, before it is folded in."""
    slot = find_slot(s, e.instrument, e.order_id)
    row = find_gone(s, e.instrument, e.order_id) if slot < 0 else -1
    if (slot < 0 and row < 0) or instrument_row(s, e.instrument).segment == 0:
        return 0, 0, 0, 0, 0, 0, 0, 0
    worth = amount(s, e.instrument, e.qty, e.px)
    if slot >= 0:
        o = order(s, slot)
        charges_for(s, e.instrument, o.product, o.side, e.ts_event, worth, o.filled_value, o.brokerage)
    else:
        g = gone_order(s, row)
        charges_for(s, e.instrument, g.product, g.side, e.ts_event, worth, g.filled_value, g.brokerage)
    return listed(s)


@jit_call
def end_order(s, o, kind, status, reason, cause):
    """The exchange ends an order, and what waited for it learns of that."""
    strategy, instrument = o.strategy, o.instrument
    e = report(s, kind, VENUE_SIM, o, cause.seq, cause.ts_event, cause.ts_init)
    e.status, e.reason = status, reason
    emit(s, e)
    settle_links(s, strategy, instrument, e)
