"""Pre-trade checks: every signal passes here, and only what passes becomes an order."""

from kernel.amounts import amount, fits_amount, free_cash, in_base
from kernel.codes import (
    Flag,
    InstrumentClass,
    OrderType,
    Product,
    Reason,
    Side,
    Status,
    TimeInForce,
    TradingState,
    code,
)
from kernel.frame import LINKS
from kernel.jit import jit, jit_call, jit_shared
from kernel.limits import refuse_change, refuse_limits
from kernel.orders import find_slot
from kernel.reserve import cash_for, closable, to_set_aside
from kernel.tables import account, book, instrument_row, limits, market, order, position, purse, rules, stand_in
from kernel.units import MONEY_MAX, PX_MAX, QTY_MAX, UP, mul_div

MARKET, LIMIT = code(OrderType.MARKET), code(OrderType.LIMIT)
STOP_MARKET, STOP_LIMIT = code(OrderType.STOP_MARKET), code(OrderType.STOP_LIMIT)
TRAILING_STOP = code(OrderType.TRAILING_STOP)
BUY, SELL = code(Side.BUY), code(Side.SELL)
GTC, GTD, IOC, FOK = code(TimeInForce.GTC), code(TimeInForce.GTD), code(TimeInForce.IOC), code(TimeInForce.FOK)
HELD, OCO, REDUCE_ONLY, SLICE = code(Flag.HELD), code(Flag.OCO), code(Flag.REDUCE_ONLY), code(Flag.SLICE)
LAST_PRODUCT = code(max(Product))
ST_PENDING_NEW = code(Status.PENDING_NEW)
HALTED, REDUCING = code(TradingState.HALTED), code(TradingState.REDUCING)
NONE, QTY_NOT_POSITIVE, QTY_OVER_LIMIT = code(Reason.NONE), code(Reason.QTY_NOT_POSITIVE), code(Reason.QTY_OVER_LIMIT)
QTY_OFF_LOT, NOTIONAL_OVER_LIMIT, CASH = code(Reason.QTY_OFF_LOT), code(Reason.NOTIONAL_OVER_LIMIT), code(Reason.CASH)
SHORT_NOT_ALLOWED, POSITION_OVER_LIMIT = code(Reason.SHORT_NOT_ALLOWED), code(Reason.POSITION_OVER_LIMIT)
PRICE_NOT_POSITIVE, NO_MARK = code(Reason.PRICE_NOT_POSITIVE), code(Reason.NO_MARK)
ORDER_TABLE_FULL, OVERFLOW = code(Reason.ORDER_TABLE_FULL), code(Reason.OVERFLOW)
TRADING_HALTED, TRADING_REDUCING = code(Reason.TRADING_HALTED), code(Reason.TRADING_REDUCING)
STRATEGY_STOPPED, UNKNOWN_INSTRUMENT = code(Reason.STRATEGY_STOPPED), code(Reason.UNKNOWN_INSTRUMENT)
UNKNOWN_ORDER_TYPE, TIME_PASSED = code(Reason.UNKNOWN_ORDER_TYPE), code(Reason.TIME_PASSED)
QTY_OVER_FREEZE, NOTHING_TO_REDUCE = code(Reason.QTY_OVER_FREEZE), code(Reason.NOTHING_TO_REDUCE)
PRODUCT_MIXED, PARENT_GONE = code(Reason.PRODUCT_MIXED), code(Reason.PARENT_GONE)
TOO_MANY_LINKED, NOT_WORKING = code(Reason.TOO_MANY_LINKED), code(Reason.NOT_WORKING)
QTY_ALREADY_FILLED = code(Reason.QTY_ALREADY_FILLED)
TIF_NOT_POSSIBLE, NOTHING_TO_CHANGE = code(Reason.TIF_NOT_POSSIBLE), code(Reason.NOTHING_TO_CHANGE)
NOT_TRADABLE, INSTRUMENT_EXPIRED = code(Reason.NOT_TRADABLE), code(Reason.INSTRUMENT_EXPIRED)
NO_RATE = code(Reason.NO_RATE)
LOTS_FULL, KILLED = code(Reason.LOTS_FULL), code(Reason.KILLED)
INDEX, FUTURE = code(InstrumentClass.INDEX), code(InstrumentClass.FUTURE)
BPS = 10_000


@jit_call
def _refuse_shape(s, e):
    """What is wrong with the order in itself: (reason, actual, allowed)."""
    if e.instrument < 0 or e.instrument >= rules(s).instruments or instrument_row(s, e.instrument).selected == 0:
        return UNKNOWN_INSTRUMENT, e.instrument, rules(s).instruments - 1
    if instrument_row(s, e.instrument).asset == INDEX:
        return NOT_TRADABLE, e.instrument, 0
    if market(s, e.instrument).ended != 0:
        return INSTRUMENT_EXPIRED, e.ts_init, market(s, e.instrument).ts_mark
    known = MARKET <= e.order_type <= TRAILING_STOP and GTC <= e.tif <= GTD and 0 <= e.product <= LAST_PRODUCT
    if not known or (e.side != BUY and e.side != SELL):
        return UNKNOWN_ORDER_TYPE, e.order_type, TRAILING_STOP
    if e.qty <= 0:
        return QTY_NOT_POSITIVE, e.qty, 1
    if e.qty >= QTY_MAX or e.px >= PX_MAX or e.trigger_px >= PX_MAX or e.trail >= PX_MAX:
        return OVERFLOW, e.qty, QTY_MAX - 1
    if e.qty % instrument_row(s, e.instrument).lot != 0:
        return QTY_OFF_LOT, e.qty, instrument_row(s, e.instrument).lot
    if (e.order_type == LIMIT or e.order_type == STOP_LIMIT) and e.px <= 0:
        return PRICE_NOT_POSITIVE, e.px, 1
    if (e.order_type == STOP_MARKET or e.order_type == STOP_LIMIT) and e.trigger_px <= 0:
        return PRICE_NOT_POSITIVE, e.trigger_px, 1
    if e.order_type == TRAILING_STOP and e.trail <= 0:
        return PRICE_NOT_POSITIVE, e.trail, 1
    at_once = e.tif == IOC or e.tif == FOK
    if at_once and e.order_type != MARKET and e.order_type != LIMIT:
        return TIF_NOT_POSSIBLE, e.tif, GTC
    if e.tif == GTD and e.expire_ts <= e.ts_init:
        return TIME_PASSED, e.expire_ts, e.ts_init + 1
    if market(s, e.instrument).mark <= 0:
        return NO_MARK, 0, 1
    return NONE, 0, 0


@jit
def slice_qty(s, instrument):
    """Most one order may carry, whole lots; 0 for no bound."""
    row = instrument_row(s, instrument)
    return row.freeze - row.freeze % row.lot


@jit
def orders_of(s, instrument, qty):
    """How many orders a quantity becomes."""
    most = slice_qty(s, instrument)
    return (qty + most - 1) // most if most > 0 else 1


@jit_call
def _refuse_slices(s, e):
    """Why what is asked for cannot be sent in orders of the freeze quantity: (reason, actual, allowed)."""
    a, most, orders = account(s), slice_qty(s, e.instrument), 1
    if most == 0 and instrument_row(s, e.instrument).freeze > 0:
        return QTY_OVER_FREEZE, e.qty, 0  # not even a lot
    if most > 0 and e.qty > most:
        orders = orders_of(s, e.instrument, e.qty)
        whole = (e.flags & OCO and not e.flags & HELD) or e.tif == FOK  # these are one order each
        allowed = 1 if whole else limits(s, 0).max_slices
        if orders > allowed:
            return QTY_OVER_FREEZE, e.qty, most * allowed
    if a.open_orders + orders > s.orders_count:
        return ORDER_TABLE_FULL, a.open_orders + orders, s.orders_count
    if rules(s).fifo != 0 and a.lots + a.open_orders + orders > s.lots_count:
        return LOTS_FULL, a.lots + a.open_orders + orders, s.lots_count
    if e.flags & (HELD | OCO | REDUCE_ONLY):
        linked = position(s, e.strategy, e.instrument).linked
        if linked + orders > LINKS:
            return TOO_MANY_LINKED, linked + orders, LINKS
    return NONE, 0, 0


@jit
def reference_px(s, instrument, side, order_type, px, trigger_px):
    """The price an order is valued at before it fills: the dearest it can fill at near today's prices.

    A buy limit fills at its price or below. Anything else may fill at the mark, whatever its own prices say: a sell
    limit far below it, a stop on the wrong side. So the dearer of its prices and the mark counts, with a buffer
    (`market_buffer_bps`, rounded up) because nothing holds the fill to it.
    """
    if side == BUY and (order_type == LIMIT or order_type == STOP_LIMIT):
        return px
    base = max(market(s, instrument).mark, px, trigger_px)
    return mul_div(base, BPS + limits(s, 0).market_buffer_bps, BPS, UP)


@jit_call
def _refuse_trading(s, e, opening):
    """Why nothing, or nothing that opens, is sent now: (reason, actual, allowed)."""
    if book(s, e.strategy).stopped != 0:
        return STRATEGY_STOPPED, book(s, e.strategy).stopped, 0
    state = state_of_trading(s)
    killed = account(s).kill_level >= state and state > 0
    if state == HALTED:
        return KILLED if killed else TRADING_HALTED, account(s).kill_level, 0
    if state == REDUCING and opening > 0:
        return KILLED if killed else TRADING_REDUCING, opening, 0
    return NONE, 0, 0


@jit
def state_of_trading(s):
    """ACTIVE, REDUCING or HALTED: as told, or as the kill switch has it."""
    a = account(s)
    return max(a.trading_state, min(a.kill_level, HALTED))


@jit_call
def check(s, e):
    """(reason, price it is valued at, actual, allowed) for the order in SIGNAL `e` of strategy `e.strategy`; the last
    two are the number that was refused and what was allowed. Of an order that passes, `actual` 1 says that it may only
    close.

    What closes a position needs no cash; what opens one, long or short, sets its full value and fee aside. Working
    orders of the same side count with it, whichever fills first: see `kernel/reserve.py`.
    """
    reason, actual, allowed = _refuse_shape(s, e)
    if reason != NONE:
        return reason, 0, actual, allowed
    p = position(s, e.strategy, e.instrument)
    working = p.working_buy if e.side == BUY else p.working_sell
    closes = closable(e.side, p.qty)
    opening = 0 if e.flags & REDUCE_ONLY else e.qty - min(e.qty, max(0, closes - working))
    reason, actual, allowed = _refuse_trading(s, e, opening)
    if reason == NONE:
        reason, actual, allowed = _refuse_slices(s, e)
    if reason != NONE:
        return reason, 0, actual, allowed
    if e.flags & REDUCE_ONLY and closes == 0:
        return NOTHING_TO_REDUCE, 0, e.qty, 0
    if (p.qty != 0 or p.open_orders > 0) and p.product != e.product:
        return PRODUCT_MIXED, 0, e.product, p.product
    px = reference_px(s, e.instrument, e.side, e.order_type, e.px, e.trigger_px)
    qty = min(e.qty, closes) if e.flags & REDUCE_ONLY else e.qty
    reason, actual, allowed = _refuse_size(s, e.strategy, e.instrument, qty, px, opening)
    if reason == NONE and e.flags & REDUCE_ONLY:
        reason, actual, allowed = refuse_limits(s, e, 0, 0, 1)
    if reason != NONE or e.flags & REDUCE_ONLY:
        return reason, px, actual, allowed
    worth = in_base(s, instrument_row(s, e.instrument).currency, amount(s, e.instrument, qty, px))
    reason, actual, allowed = refuse_limits(s, e, opening, worth, orders_of(s, e.instrument, qty))
    if reason != NONE:
        return reason, 0, actual, allowed
    value, need, alone = _value_with(s, e, px)
    if value < 0:
        return OVERFLOW, 0, e.qty, QTY_MAX - 1
    if opening == 0:
        return NONE, px, _must_not_open(s, e, alone), 0
    reason, actual, allowed = _refuse_opening(s, e.strategy, e.instrument, e.side, working + e.qty, need)
    return reason, px, actual, allowed


@jit
def _must_not_open(s, e, need):
    """1 when an order that was let through because it closes a position may do no more than that: another one may close
    it first, and this one would then open what risk never looked at, for which `need` is to be set aside."""
    short = e.side == SELL and not _may_short(s, e.strategy)
    free = free_cash(s, instrument_row(s, e.instrument).currency)
    left = market(s, e.instrument).warm_up != 0
    return 1 if short or left or state_of_trading(s) != 0 or need > free else 0


@jit_shared
def _refuse_size(s, strategy, instrument, qty, px, opening):
    """Whether one order is too large, which one that only closes never is: (reason, actual, allowed)."""
    if px >= PX_MAX or not fits_amount(s, instrument, qty, px):
        return OVERFLOW, px, PX_MAX - 1
    if opening <= 0:
        return NONE, 0, 0
    most = min(limits(s, 0).max_order_qty, limits(s, strategy).max_order_qty)
    if qty > most:
        return QTY_OVER_LIMIT, qty, most
    currency = instrument_row(s, instrument).currency
    if purse(s, currency).rate == 0:
        return NO_RATE, currency, 0
    worth = in_base(s, currency, amount(s, instrument, qty, px))
    most = min(limits(s, 0).max_order_notional, limits(s, strategy).max_order_notional)
    if worth > most:
        return NOTIONAL_OVER_LIMIT, worth, most
    return NONE, 0, 0


@jit
def _may_short(s, strategy):
    return limits(s, 0).allow_short != 0 and limits(s, strategy).allow_short != 0


@jit
def own_working(s, strategy, instrument, side):
    p = position(s, strategy, instrument)
    return p.working_buy if side == BUY else p.working_sell


@jit_call
def _account_qty(s, instrument, side):
    """What the account would hold on that side once all that works on it is filled."""
    total = market(s, instrument).net_qty * side
    for strategy in range(rules(s).strategies + 1):
        total += own_working(s, strategy, instrument, side)
    return total


@jit_shared
def _refuse_opening(s, strategy, instrument, side, working, need):
    """Whether a position may grow to that, and cash covers it: (reason, actual, allowed). `working` is what works on
    this side, this order with it."""
    held = position(s, strategy, instrument).qty
    qty, most = abs(held + side * working), min(limits(s, 0).max_position_qty, limits(s, strategy).max_position_qty)
    if qty > most:
        return POSITION_OVER_LIMIT, qty, most
    if rules(s).strategies > 1:
        qty = _account_qty(s, instrument, side) + working - own_working(s, strategy, instrument, side)
        most = limits(s, 0).max_position_qty
        if qty > most:
            return POSITION_OVER_LIMIT, qty, most
    if side == SELL and not _may_short(s, strategy) and instrument_row(s, instrument).asset != FUTURE:
        return SHORT_NOT_ALLOWED, held - working, 0
    free = free_cash(s, instrument_row(s, instrument).currency)
    if need > free:
        return CASH, need, free
    return NONE, 0, 0


@jit_call
def refuse_member(s, first, e, members):
    """Why an order that hangs on `first`, of which nothing was sent yet, could not be sent as its `members`-th; a pair
    is looked at once more when it is."""
    reason, _, _ = _refuse_shape(s, e)
    if reason != NONE:
        return reason
    if e.instrument != first.instrument or (e.flags & HELD and e.side != -first.side):
        return PARENT_GONE
    if e.product != first.product and e.flags & HELD:
        return PRODUCT_MIXED
    orders = orders_of(s, e.instrument, e.qty)
    if account(s).open_orders + orders * (members + 1) > s.orders_count:
        return ORDER_TABLE_FULL
    if position(s, e.strategy, e.instrument).linked + orders * (members + 1) > LINKS:
        return TOO_MANY_LINKED
    return NONE


@jit_call
def check_held(s, e, parent_id):
    """(reason, actual, allowed) for an order that waits for `parent_id` to fill. It only ever reduces what that opens,
    so it needs no cash, and is no larger: the rest of risk looked at the parent."""
    reason, actual, allowed = _refuse_shape(s, e)
    if reason != NONE:
        return reason, actual, allowed
    slot = find_slot(s, e.instrument, parent_id) if parent_id > 0 else -1
    if slot < 0 or order(s, slot).strategy != e.strategy or order(s, slot).side != -e.side:
        return PARENT_GONE, parent_id, 0
    if order(s, slot).product != e.product:
        return PRODUCT_MIXED, e.product, order(s, slot).product
    return _refuse_slices(s, e)


@jit_call
def _refuse_terms(s, o, qty, px, trigger_px):
    """Whether an order of its type has such prices, and anything is to change: (reason, actual, allowed)."""
    if qty == o.qty and px == o.px and trigger_px == o.trigger_px:
        return NOTHING_TO_CHANGE, 0, 0
    has_px = o.order_type == LIMIT or o.order_type == STOP_LIMIT
    has_trigger = o.order_type != MARKET and o.order_type != LIMIT
    if px < 0 or (px != o.px and not has_px):
        return PRICE_NOT_POSITIVE, px, o.px
    if trigger_px < 0 or (trigger_px != o.trigger_px and not has_trigger):
        return PRICE_NOT_POSITIVE, trigger_px, o.trigger_px
    return NONE, 0, 0


@jit_call
def check_change(s, o, qty, px, trigger_px):
    """(reason, price it is valued at, actual, allowed) for working order `o` with another total quantity and prices."""
    p = position(s, o.strategy, o.instrument)
    if o.status == ST_PENDING_NEW:
        return NOT_WORKING, 0, 0, 0
    reason, actual, allowed = _refuse_terms(s, o, qty, px, trigger_px)
    if reason != NONE:
        return reason, 0, actual, allowed
    if qty <= o.cum_qty:
        return QTY_ALREADY_FILLED, 0, qty, o.cum_qty + 1
    if qty >= QTY_MAX or px >= PX_MAX or trigger_px >= PX_MAX:
        return OVERFLOW, 0, qty, QTY_MAX - 1
    if qty % instrument_row(s, o.instrument).lot != 0:
        return QTY_OFF_LOT, 0, qty, instrument_row(s, o.instrument).lot
    most = slice_qty(s, o.instrument)
    if (most > 0 and qty > most) or (o.flags & SLICE and qty > o.qty):
        return QTY_OVER_FREEZE, 0, qty, min(most, o.qty)
    if o.flags & (HELD | REDUCE_ONLY) and qty > o.qty:
        return NOTHING_TO_REDUCE, 0, qty, o.qty
    if state_of_trading(s) == HALTED:
        return KILLED if account(s).kill_level >= HALTED else TRADING_HALTED, 0, account(s).kill_level, 0
    reserve_px = reference_px(s, o.instrument, o.side, o.order_type, px, trigger_px)
    working_after = (p.working_buy if o.side == BUY else p.working_sell) + max(0, qty - o.qty)
    grows = (qty > o.qty or px != o.px) and working_after > closable(o.side, p.qty)
    reason, actual, allowed = _refuse_size(s, o.strategy, o.instrument, qty, reserve_px, 1 if grows else 0)
    if reason == NONE:
        reason, actual, allowed = _refuse_by_limits(s, o, qty, px, trigger_px, reserve_px)
    if reason != NONE or o.flags & REDUCE_ONLY:
        return reason, reserve_px, actual, allowed
    more = max(0, qty - o.qty)
    grown, dearest = o.leaves_qty + more, max(o.reserve_px, reserve_px)
    value = cash_for(s, o.instrument, o.product, o.side, grown, dearest, o.filled_value, o.brokerage)
    need = value - o.value
    working = p.working_buy if o.side == BUY else p.working_sell
    opening = working + more > closable(o.side, p.qty)
    if opening and state_of_trading(s) != 0:
        return TRADING_REDUCING, reserve_px, grown, o.leaves_qty
    if not opening or need <= 0:
        return NONE, reserve_px, 0, 0
    reason, actual, allowed = _refuse_opening(s, o.strategy, o.instrument, o.side, working + more, need)
    return reason, reserve_px, actual, allowed


@jit_call
def _refuse_by_limits(s, o, qty, px, trigger_px, reserve_px):
    """Whether the limits let a working order have that quantity and those prices."""
    e = stand_in(s, account(s).seq, account(s).ts, account(s).ts)
    e.instrument, e.strategy, e.side = o.instrument, o.strategy, o.side
    e.order_type, e.product, e.qty, e.px, e.trigger_px = o.order_type, o.product, qty, px, trigger_px
    worth, p = 0, position(s, o.strategy, o.instrument)
    if not o.flags & REDUCE_ONLY:
        whole = amount(s, o.instrument, qty - o.cum_qty, max(reserve_px, o.reserve_px))
        worth = in_base(s, instrument_row(s, o.instrument).currency, whole) - o.notional
    working = p.working_buy if o.side == BUY else p.working_sell
    more = 0 if o.flags & REDUCE_ONLY else max(0, working + qty - o.qty - closable(o.side, p.qty))
    return refuse_change(s, o, e, more, worth if more > 0 else 0)


@jit_call
def _value_with(s, e, px):
    """(value of the side's working orders and this one, what more must be set aside, value of this one alone); -1 where
    it does not fit."""
    strategy, instrument, side, qty = e.strategy, e.instrument, e.side, e.qty
    p = position(s, strategy, instrument)
    value, reserved = (p.value_buy, p.reserved_buy) if side == BUY else (p.value_sell, p.reserved_sell)
    working = p.working_buy if side == BUY else p.working_sell
    more = cash_for(s, instrument, e.product, side, qty, px, 0, 0)
    if more >= MONEY_MAX - value:
        return -1, 0, 0
    value += more
    return value, to_set_aside(s, strategy, instrument, e.product, side, working + qty, value, px) - reserved, more
