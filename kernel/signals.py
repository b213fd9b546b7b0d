"""What a strategy returns: one Signal, None or HOLD. Prices are in currency, adjusted for splits as `bar` is.

`place(ctx, signal)` sends more than one in a call, `cancel(ctx)` takes working orders back.
"""

from typing import NamedTuple

from kernel.codes import OrderType, Side, TimeInForce
from kernel.jit import jit_user, overload_number
from kernel.state import HERE, INTENTS
from kernel.units import QTY_MAX

_MARKET, _LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
_STOP, _STOP_LIMIT = int(OrderType.STOP_MARKET), int(OrderType.STOP_LIMIT)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
GTC, IOC = int(TimeInForce.GTC), int(TimeInForce.IOC)


class Signal(NamedTuple):
    """A wish; risk decides whether it becomes an order. `order_type` 0 is no wish at all."""

    side: int
    qty: int
    order_type: int
    tif: int
    instrument: int
    ref: int
    price: float
    trigger_price: float
    strength: float


HOLD = Signal(0, 0, 0, GTC, HERE, 0, 0.0, 0.0, 0.0)


@jit_user
def _whole(qty):
    """`qty` towards zero; 0 when it is NaN, and never beyond what a quantity may be, so that int() is defined."""
    if qty != qty:
        return 0
    if qty >= QTY_MAX:
        return QTY_MAX
    return -QTY_MAX if qty <= -QTY_MAX else int(qty)


@jit_user
def buy(qty, instrument=HERE, strength=0.0):
    """Buy `qty` at the market: filled at the next bar's open."""
    return Signal(_BUY, _whole(qty), _MARKET, GTC, int(instrument), 0, 0.0, 0.0, float(strength))


@jit_user
def sell(qty, instrument=HERE, strength=0.0):
    """Sell `qty` at the market: filled at the next bar's open."""
    return Signal(_SELL, _whole(qty), _MARKET, GTC, int(instrument), 0, 0.0, 0.0, float(strength))


@jit_user
def buy_limit(qty, price, tif=GTC, instrument=HERE, strength=0.0):
    """Buy `qty` at `price` or less; the price becomes the nearest tick."""
    return Signal(_BUY, _whole(qty), _LIMIT, int(tif), int(instrument), 0, float(price), 0.0, float(strength))


@jit_user
def sell_limit(qty, price, tif=GTC, instrument=HERE, strength=0.0):
    """Sell `qty` at `price` or more."""
    return Signal(_SELL, _whole(qty), _LIMIT, int(tif), int(instrument), 0, float(price), 0.0, float(strength))


@jit_user
def buy_stop(qty, trigger_price, instrument=HERE, strength=0.0):
    """Buy `qty` at the market once the price rises to `trigger_price`."""
    return Signal(_BUY, _whole(qty), _STOP, GTC, int(instrument), 0, 0.0, float(trigger_price), float(strength))


@jit_user
def sell_stop(qty, trigger_price, instrument=HERE, strength=0.0):
    """Sell `qty` at the market once the price falls to `trigger_price`."""
    return Signal(_SELL, _whole(qty), _STOP, GTC, int(instrument), 0, 0.0, float(trigger_price), float(strength))


@jit_user
def buy_stop_limit(qty, trigger_price, price, instrument=HERE, strength=0.0):
    """Buy `qty` at `price` or less once the price rises to `trigger_price`."""
    return Signal(
        _BUY, _whole(qty), _STOP_LIMIT, GTC, int(instrument), 0, float(price), float(trigger_price), float(strength)
    )


@jit_user
def sell_stop_limit(qty, trigger_price, price, instrument=HERE, strength=0.0):
    """Sell `qty` at `price` or more once the price falls to `trigger_price`."""
    return Signal(
        _SELL, _whole(qty), _STOP_LIMIT, GTC, int(instrument), 0, float(price), float(trigger_price), float(strength)
    )


@jit_user
def target(ctx, qty):
    """The market order that takes this position to `qty`; HOLD when it is there. Market orders on their way count as
    filled; limits and stops that rest do not, since nobody knows whether they will: cancel them where they would."""
    missing = _whole(qty) - ctx.position - ctx.pending_qty
    side = _BUY if missing > 0 else _SELL
    return Signal(side, abs(missing), _MARKET if missing != 0 else 0, GTC, HERE, 0, 0.0, 0.0, 0.0)


@jit_user
def place(ctx, signal):
    """Send `signal` now, beside what on_bar returns; more than 16 in one call stop the strategy."""
    if signal.order_type == 0:
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
def cancel(ctx, order_id=0, instrument=HERE):
    """Cancel this strategy's working order `order_id` in the instrument, or all of them there."""
    if ctx.count < INTENTS:
        _write(ctx.intents[ctx.count], Signal(0, 0, 0, GTC, int(instrument), int(order_id), 0.0, 0.0, 0.0))
    ctx.count += 1


@jit_user
def _write(intent, signal):
    intent.side, intent.qty, intent.order_type, intent.tif = signal.side, signal.qty, signal.order_type, signal.tif
    intent.instrument, intent.ref, intent.price = signal.instrument, signal.ref, signal.price
    intent.trigger_price, intent.strength = signal.trigger_price, signal.strength


value_of, previous_of = overload_number("value"), overload_number("previous")


@jit_user
def crossed_above(a, b):
    """Whether `a` went from at or below `b` to above it with this bar; each is an indicator or a number."""
    return previous_of(a) <= previous_of(b) and value_of(a) > value_of(b)


@jit_user
def crossed_below(a, b):
    """Whether `a` went from at or above `b` to below it with this bar; each is an indicator or a number."""
    return previous_of(a) >= previous_of(b) and value_of(a) < value_of(b)
