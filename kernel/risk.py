"""Pre-trade checks: every signal passes here, and only what passes becomes an order."""

from kernel.codes import OrderType, Reason, Side, TimeInForce, TradingState, code
from kernel.jit import jit, jit_call
from kernel.reserve import cash_for, closable, to_set_aside
from kernel.tables import account, book, free_cash, instrument_row, limits, market, position, rules
from kernel.units import MONEY_MAX, PX_MAX, QTY_MAX, UP, fits_product, mul_div

MARKET, LIMIT = code(OrderType.MARKET), code(OrderType.LIMIT)
STOP_MARKET, STOP_LIMIT = code(OrderType.STOP_MARKET), code(OrderType.STOP_LIMIT)
BUY, SELL, GTC, IOC = code(Side.BUY), code(Side.SELL), code(TimeInForce.GTC), code(TimeInForce.IOC)
HALTED, REDUCING = code(TradingState.HALTED), code(TradingState.REDUCING)
NONE, QTY_NOT_POSITIVE, QTY_OVER_LIMIT = code(Reason.NONE), code(Reason.QTY_NOT_POSITIVE), code(Reason.QTY_OVER_LIMIT)
QTY_OFF_LOT, NOTIONAL_OVER_LIMIT, CASH = code(Reason.QTY_OFF_LOT), code(Reason.NOTIONAL_OVER_LIMIT), code(Reason.CASH)
SHORT_NOT_ALLOWED, POSITION_OVER_LIMIT = code(Reason.SHORT_NOT_ALLOWED), code(Reason.POSITION_OVER_LIMIT)
PRICE_NOT_POSITIVE, NO_MARK = code(Reason.PRICE_NOT_POSITIVE), code(Reason.NO_MARK)
ORDER_TABLE_FULL, OVERFLOW = code(Reason.ORDER_TABLE_FULL), code(Reason.OVERFLOW)
TRADING_HALTED, TRADING_REDUCING = code(Reason.TRADING_HALTED), code(Reason.TRADING_REDUCING)
STRATEGY_STOPPED, UNKNOWN_INSTRUMENT = code(Reason.STRATEGY_STOPPED), code(Reason.UNKNOWN_INSTRUMENT)
UNKNOWN_ORDER_TYPE = code(Reason.UNKNOWN_ORDER_TYPE)
BPS = 10_000


@jit
def _refuse_shape(s, e):
    """What is wrong with the order in itself."""
    if e.instrument < 0 or e.instrument >= rules(s).instruments or instrument_row(s, e.instrument).selected == 0:
        return UNKNOWN_INSTRUMENT
    if (e.side != BUY and e.side != SELL) or not (MARKET <= e.order_type <= STOP_LIMIT) or not (GTC <= e.tif <= IOC):
        return UNKNOWN_ORDER_TYPE
    if e.qty <= 0:
        return QTY_NOT_POSITIVE
    if e.qty >= QTY_MAX or e.px >= PX_MAX or e.trigger_px >= PX_MAX:
        return OVERFLOW
    if e.qty % instrument_row(s, e.instrument).lot != 0:
        return QTY_OFF_LOT
    if (e.order_type == LIMIT or e.order_type == STOP_LIMIT) and e.px <= 0:
        return PRICE_NOT_POSITIVE
    if (e.order_type == STOP_MARKET or e.order_type == STOP_LIMIT) and e.trigger_px <= 0:
        return PRICE_NOT_POSITIVE
    if market(s, e.instrument).mark <= 0:
        return NO_MARK
    return NONE


@jit
def reference_px(s, e):
    """The price an order is valued at before it fills: the dearest it can fill at near today's prices.

    A buy limit fills at its price or below. Anything else may fill at the mark, whatever its own prices say: a sell
    limit far below it, a stop on the wrong side. So the dearer of its prices and the mark counts, with a buffer
    (`market_buffer_bps`, rounded up) because nothing holds the fill to it.
    """
    if e.side == BUY and (e.order_type == LIMIT or e.order_type == STOP_LIMIT):
        return e.px
    base = max(market(s, e.instrument).mark, e.px, e.trigger_px)
    return mul_div(base, BPS + limits(s).market_buffer_bps, BPS, UP)


@jit_call
def check(s, e):
    """(reason, price it is valued at) for the order in SIGNAL `e` of strategy `e.strategy`.

    What closes a position needs no cash; what opens one, long or short, sets its full value and fee aside. Working
    orders of the same side count with it, whichever fills first: see `kernel/reserve.py`.
    """
    reason = _refuse_shape(s, e)
    if reason != NONE:
        return reason, 0
    a, limit = account(s), limits(s)
    if book(s, e.strategy).stopped != 0:
        return STRATEGY_STOPPED, 0
    if a.trading_state == HALTED:
        return TRADING_HALTED, 0
    if a.free_slot < 0:
        return ORDER_TABLE_FULL, 0
    p = position(s, e.strategy, e.instrument)
    working = p.working_buy if e.side == BUY else p.working_sell
    opening = e.qty - min(e.qty, max(0, closable(e.side, p.qty) - working))
    if a.trading_state == REDUCING and opening > 0:
        return TRADING_REDUCING, 0
    if e.qty > limit.max_order_qty:
        return QTY_OVER_LIMIT, 0
    px = reference_px(s, e)
    if px >= PX_MAX or not fits_product(e.qty, px):
        return OVERFLOW, 0
    if e.qty * px > limit.max_order_notional:
        return NOTIONAL_OVER_LIMIT, 0
    value, need = _value_with(s, e, p, working, px)
    if value < 0:
        return OVERFLOW, 0
    if opening == 0:
        return NONE, px
    if abs(p.qty + e.side * (working + e.qty)) > limit.max_position_qty:
        return POSITION_OVER_LIMIT, 0
    if e.side == SELL and limit.allow_short == 0:
        return SHORT_NOT_ALLOWED, 0
    if need > free_cash(s):
        return CASH, 0
    return NONE, px


@jit_call
def _value_with(s, e, p, working, px):
    """(value of the side's working orders and this one, what more must be set aside); -1 where it does not fit."""
    value, reserved = (p.value_buy, p.reserved_buy) if e.side == BUY else (p.value_sell, p.reserved_sell)
    more = cash_for(s, e.qty, px)
    if more >= MONEY_MAX - value:
        return -1, 0
    value += more
    return value, to_set_aside(s, e.strategy, e.instrument, e.side, working + e.qty, value, px) - reserved
