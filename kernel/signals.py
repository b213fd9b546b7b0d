"""What a strategy returns: one Signal, None or HOLD. Prices are in currency, adjusted for splits as `bar` is.

`place(ctx, signal)` sends more than one in a call, `cancel(ctx)` takes working orders back.
"""

from typing import NamedTuple

from kernel.codes import Flag, OrderType, Product, Regime, Side, TimeInForce, TimerCode
from kernel.frame import CANCEL, HERE, INTENTS, NEW, NOTHING, REPLACE
from kernel.jit import jit_user, overload_number
from kernel.units import QTY_MAX

_MARKET, _LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
_STOP, _STOP_LIMIT, _TRAILING = int(OrderType.STOP_MARKET), int(OrderType.STOP_LIMIT), int(OrderType.TRAILING_STOP)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
GTC, IOC = int(TimeInForce.GTC), int(TimeInForce.IOC)
DAY, FOK, GTD = int(TimeInForce.DAY), int(TimeInForce.FOK), int(TimeInForce.GTD)
INTRADAY, DELIVERY, MARGIN = int(Product.INTRADAY), int(Product.DELIVERY), int(Product.MARGIN)
SESSION_OPEN, SESSION_CLOSE = int(TimerCode.SESSION_OPEN), int(TimerCode.SESSION_CLOSE)  # of `timer.code`
SQUARE_OFF, DAY_END, CLOCK = int(TimerCode.SQUARE_OFF), int(TimerCode.DAY_END), int(TimerCode.CLOCK)
TREND, RANGE, VOLATILE = int(Regime.TREND), int(Regime.RANGE), int(Regime.VOLATILE)  # of `ctx.regime`
_HELD, _OCO, _REDUCE_ONLY = int(Flag.HELD), int(Flag.OCO), int(Flag.REDUCE_ONLY)


class Signal(NamedTuple):
    """A wish; risk decides whether it becomes an order. `action` 0 is no wish at all."""

    action: int
    side: int
    qty: int
    order_type: int
    tif: int
    instrument: int
    ref: int
    flags: int
    product: int
    expires: int
    price: float
    trigger_price: float
    trail: float
    strength: float


HOLD = Signal(NOTHING, 0, 0, 0, GTC, HERE, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)


@jit_user
def _whole(qty):
    """`qty` towards zero; 0 when it is NaN, and never beyond what a quantity may be, so that int() is defined."""
    if qty != qty:
        return 0
    if qty >= QTY_MAX:
        return QTY_MAX
    return -QTY_MAX if qty <= -QTY_MAX else int(qty)


@jit_user
def _order(side, qty, order_type, price, trigger_price, trail, instrument, strength):
    return Signal(
        NEW, side, _whole(qty), order_type, GTC, int(instrument), 0, 0, 0, 0,
        float(price), float(trigger_price), float(trail), float(strength),
    )  # fmt: skip


@jit_user
def buy(qty, instrument=HERE, strength=0.0):
    """Buy `qty` at the market: filled at the next bar's open."""
    return _order(_BUY, qty, _MARKET, 0.0, 0.0, 0.0, instrument, strength)


@jit_user
def sell(qty, instrument=HERE, strength=0.0):
    """Sell `qty` at the market: filled at the next bar's open."""
    return _order(_SELL, qty, _MARKET, 0.0, 0.0, 0.0, instrument, strength)


@jit_user
def buy_limit(qty, price, tif=GTC, instrument=HERE, strength=0.0):
    """Buy `qty` at `price` or less; the price becomes the nearest tick."""
    return with_tif(_order(_BUY, qty, _LIMIT, price, 0.0, 0.0, instrument, strength), tif)


@jit_user
def sell_limit(qty, price, tif=GTC, instrument=HERE, strength=0.0):
    """Sell `qty` at `price` or more."""
    return with_tif(_order(_SELL, qty, _LIMIT, price, 0.0, 0.0, instrument, strength), tif)


@jit_user
def buy_stop(qty, trigger_price, instrument=HERE, strength=0.0):
    """Buy `qty` at the market once the price rises to `trigger_price`."""
    return _order(_BUY, qty, _STOP, 0.0, trigger_price, 0.0, instrument, strength)


@jit_user
def sell_stop(qty, trigger_price, instrument=HERE, strength=0.0):
    """Sell `qty` at the market once the price falls to `trigger_price`."""
    return _order(_SELL, qty, _STOP, 0.0, trigger_price, 0.0, instrument, strength)


@jit_user
def buy_stop_limit(qty, trigger_price, price, instrument=HERE, strength=0.0):
    """Buy `qty` at `price` or less once the price rises to `trigger_price`."""
    return _order(_BUY, qty, _STOP_LIMIT, price, trigger_price, 0.0, instrument, strength)


@jit_user
def sell_stop_limit(qty, trigger_price, price, instrument=HERE, strength=0.0):
    """Sell `qty` at `price` or more once the price falls to `trigger_price`."""
    return _order(_SELL, qty, _STOP_LIMIT, price, trigger_price, 0.0, instrument, strength)


@jit_user
def buy_trailing_stop(qty, trail, instrument=HERE, strength=0.0):
    """Buy `qty` at the market once the price rises by `trail` from the lowest it saw since the order was sent."""
    return _order(_BUY, qty, _TRAILING, 0.0, 0.0, trail, instrument, strength)


@jit_user
def sell_trailing_stop(qty, trail, instrument=HERE, strength=0.0):
    """Sell `qty` at the market once the price falls by `trail` from the highest it saw since the order was sent."""
    return _order(_SELL, qty, _TRAILING, 0.0, 0.0, trail, instrument, strength)


@jit_user
def with_tif(signal, tif, expires=0):
    """The same order with a time in force: GTC, DAY, IOC, FOK, or GTD with the time `expires`, ns UTC."""
    s = signal
    return Signal(
        s.action, s.side, s.qty, s.order_type, int(tif), s.instrument, s.ref, s.flags, s.product, int(expires),
        s.price, s.trigger_price, s.trail, s.strength,
    )  # fmt: skip


@jit_user
def with_product(signal, product):
    """The same order as INTRADAY, DELIVERY or MARGIN; without it, what the position is, or the run's default."""
    s = signal
    return Signal(
        s.action, s.side, s.qty, s.order_type, s.tif, s.instrument, s.ref, s.flags, int(product), s.expires,
        s.price, s.trigger_price, s.trail, s.strength,
    )  # fmt: skip


@jit_user
def _with_flags(signal, flags, belongs_to):
    """`belongs_to`: with HELD or OCO, the number in this call of the order it hangs on, from 1."""
    s = signal
    return Signal(
        s.action, s.side, s.qty, s.order_type, s.tif, s.instrument, belongs_to, s.flags | flags, s.product, s.expires,
        s.price, s.trigger_price, s.trail, s.strength,
    )  # fmt: skip


@jit_user
def reduce_only(signal):
    """The same order, which may close a position and never opens one: it is cut to what there is to close, and canceled
    once nothing is."""
    return _with_flags(signal, _REDUCE_ONLY, signal.ref)


@jit_user
def target(ctx, qty):
    """The market order that takes this position to `qty`; HOLD when it is there. Market orders on their way count as
    filled; limits and stops that rest do not, since nobody knows whether they will: cancel them where they would."""
    missing = _whole(qty) - ctx.position - ctx.pending_qty
    if missing == 0:
        return HOLD
    return _order(_BUY if missing > 0 else _SELL, abs(missing), _MARKET, 0.0, 0.0, 0.0, HERE, 0.0)


@jit_user
def target_percent(ctx, share):
    """The market order that takes this position to `share` of `ctx.capital` (0.1 is a tenth), negative for a
    short one, at the last price; whole lots, towards zero."""
    if not ctx.unit_value > 0.0:
        return HOLD
    return target(ctx, whole_lots(share * ctx.capital / ctx.unit_value, ctx.lot))


@jit_user
def whole_lots(qty, lot):
    """A quantity cut towards zero to a multiple of `lot`."""
    whole = _whole(qty)
    cut = abs(whole) // lot * lot
    return cut if whole >= 0 else -cut


@jit_user
def order_target(one, qty):
    """In on_slice: take the position in `one` of the universe to `qty` by a market order, once the call is over. Orders
    that reduce go before those that open. Said again in the same call, the last word counts."""
    one.aimed, one.aim_qty = 1, whole_lots(qty, one.lot)


@jit_user
def order_target_percent(ctx, one, share):
    """In on_slice: as `order_target`, to `share` of `ctx.capital` (0.1 is a tenth) at the last price;
    nothing for an instrument that has had none."""
    if one.unit_value > 0.0:
        order_target(one, share * ctx.capital / one.unit_value)


@jit_user
def place(ctx, signal):
    """Send `signal` now, beside what on_bar returns; more than 16 in one call stop the strategy."""
    if signal.action == NOTHING:
        return
    if ctx.count < INTENTS:
        _write(ctx.intents[ctx.count], signal)
    ctx.count += 1


@jit_user
def answer(ctx, signal):
    """Send what a hook returned; a function of its own, so that the compiler drops the branch for a hook of None."""
    if signal is not None:
        place(ctx, signal)


@jit_user
def bracket(ctx, entry, stop_loss=0.0, take_profit=0.0, trail=0.0):
    """Send `entry` with a stop loss, a trailing stop and a take profit, each where it is not 0: they wait until it is
    filled, work for what it was filled for, only reduce, and one cancels the others."""
    if entry.action == NOTHING:
        return
    place(ctx, entry)
    first = ctx.count
    if stop_loss > 0.0:
        place(ctx, _exit(entry, _STOP, 0.0, stop_loss, 0.0, first))
    if trail > 0.0:
        place(ctx, _exit(entry, _TRAILING, 0.0, 0.0, trail, first))
    if take_profit > 0.0:
        place(ctx, _exit(entry, _LIMIT, take_profit, 0.0, 0.0, first))


@jit_user
def _exit(entry, order_type, price, trigger_price, trail, first):
    """One of the exits of `entry`, of its product, that wait for it; `first` is its number in this call."""
    order = _order(-entry.side, entry.qty, order_type, price, trigger_price, trail, entry.instrument, 0.0)
    return _with_flags(with_product(order, entry.product), _HELD | _OCO, first)


@jit_user
def when_filled(ctx, entry, then):
    """Send `entry`, and `then` once it is filled, for what it was filled for: `then` is of the other side, only reduces
    and may be any order. Several exits of one entry: `bracket`."""
    if entry.action == NOTHING:
        return
    place(ctx, entry)
    product = then.product if then.product != 0 else entry.product
    place(ctx, _with_flags(with_product(then, product), _HELD, ctx.count))


@jit_user
def one_cancels_other(ctx, first, second):
    """Send two orders in one instrument, of which a fill of one cancels the other, and a part of it cuts the other."""
    place(ctx, _with_flags(first, _OCO, 0))
    place(ctx, _with_flags(second, _OCO, ctx.count))


@jit_user
def cancel(ctx, order_id=0, instrument=HERE):
    """Cancel this strategy's working order `order_id` in the instrument, or all of them there."""
    place(ctx, Signal(CANCEL, 0, 0, 0, GTC, int(instrument), int(order_id), 0, 0, 0, 0.0, 0.0, 0.0, 0.0))


@jit_user
def modify(ctx, order_id=0, qty=0, price=0.0, trigger_price=0.0, instrument=HERE):
    """Change this strategy's working order `order_id` in the instrument, or its newest there; what is 0 stays. `qty` is
    all of it, with what was filled."""
    asked = Signal(
        REPLACE, 0, _whole(qty), 0, GTC, int(instrument), int(order_id), 0, 0, 0,
        float(price), float(trigger_price), 0.0, 0.0,
    )  # fmt: skip
    place(ctx, asked)


@jit_user
def _write(intent, signal):
    intent.action, intent.side, intent.qty = signal.action, signal.side, signal.qty
    intent.order_type, intent.tif, intent.instrument = signal.order_type, signal.tif, signal.instrument
    intent.ref, intent.flags, intent.product = signal.ref, signal.flags, signal.product
    intent.expire_ts, intent.price = signal.expires, signal.price
    intent.trigger_price, intent.trail, intent.strength = signal.trigger_price, signal.trail, signal.strength
    intent.order_id, intent.signal = 0, 0


value_of, previous_of = overload_number("value"), overload_number("previous")


@jit_user
def crossed_above(a, b):
    """Whether `a` went from at or below `b` to above it with this bar; each is an indicator or a number."""
    return previous_of(a) <= previous_of(b) and value_of(a) > value_of(b)


@jit_user
def crossed_below(a, b):
    """Whether `a` went from at or above `b` to below it with this bar; each is an indicator or a number."""
    return previous_of(a) >= previous_of(b) and value_of(a) < value_of(b)
