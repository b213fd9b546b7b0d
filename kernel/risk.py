"""Pre-trade checks: every signal passes here, and only what passes becomes an order."""

from kernel.accounting import fee_of
from kernel.codes import OrderType, Reason, Side, TimeInForce, TradingState, code
from kernel.jit import jit, jit_call
from kernel.tables import account, book, free_cash, instrument_row, limits, market, position, rules
from kernel.units import PX_MAX, QTY_MAX, UP, fits_product, mul_div

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
    """The price an order is valued at before it fills: its limit, its trigger, or the mark, the last two with a buffer
    (`market_buffer_bps`, rounded up) because nothing holds the fill to them."""
    if e.order_type == LIMIT or e.order_type == STOP_LIMIT:
        return e.px
    base = e.trigger_px if e.order_type == STOP_MARKET else market(s, e.instrument).mark
    return mul_div(base, BPS + limits(s).market_buffer_bps, BPS, UP)


@jit_call
def check(s, e):
    """(reason, cash to set aside) for the order in SIGNAL `e` of strategy `e.strategy`.

    What closes a position needs no cash; what opens one, long or short, sets its full value and fee aside. Working
    orders of the same side count as if they filled first.
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
    closable = min(e.qty, max(0, -e.side * p.qty - working))
    opening = e.qty - closable
    if a.trading_state == REDUCING and opening > 0:
        return TRADING_REDUCING, 0
    if e.qty > limit.max_order_qty:
        return QTY_OVER_LIMIT, 0
    px = reference_px(s, e)
    if not fits_product(e.qty, px):
        return OVERFLOW, 0
    if e.qty * px > limit.max_order_notional:
        return NOTIONAL_OVER_LIMIT, 0
    if opening == 0:
        return NONE, 0
    if abs(p.qty + e.side * (working + e.qty)) > limit.max_position_qty:
        return POSITION_OVER_LIMIT, 0
    if e.side == SELL and limit.allow_short == 0:
        return SHORT_NOT_ALLOWED, 0
    need = opening * px + fee_of(s, opening, px)
    if need > free_cash(s):
        return CASH, 0
    return NONE, need
