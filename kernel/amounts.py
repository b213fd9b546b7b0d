"""What a quantity is worth, and sums over currencies.

Quantities and prices are integers of an instrument's own scale; `num / den` of its row turns their product into money
(a multiplier, a market in 1e-8). With the usual scale that is the product itself, and nothing is rounded; elsewhere an
amount is rounded once, when it is made, and what is kept from then on is that amount.
"""

from kernel.jit import jit, jit_call, jit_shared
from kernel.tables import instrument_row, market, purse, rules
from kernel.units import DOWN, HALF_EVEN, MONEY_MAX, PX_MAX, SCALE, SHARE, UP, fits_product, mul_div


@jit
def amount(s, instrument, qty, px):
    """What `qty` is worth at `px`, money, of the sign of their product; it has to fit."""
    row = instrument_row(s, instrument)
    if row.num == row.den:
        return qty * px
    return _scaled(row.num, row.den, qty, px)


@jit_call
def _scaled(num, den, qty, px):
    return mul_div(qty * num, px, den, HALF_EVEN)


@jit
def fits_amount(s, instrument, qty, px):
    """Whether what `qty` is worth at `px` stays below MONEY_MAX."""
    row = instrument_row(s, instrument)
    if row.num == row.den:
        return fits_product(qty, px)
    return _scaled_fits(row.num, row.den, qty, px)


@jit_call
def _scaled_fits(num, den, qty, px):
    if not fits_product(qty, num):
        return False
    large, small = max(abs(qty * num), abs(px)), min(abs(qty * num), abs(px))
    return small <= 1 or large // den + 1 <= (MONEY_MAX - 1) // small


@jit_call
def highest_px(s, instrument, qty):
    """A price up to which `qty` is worth an amount that fits."""
    row = instrument_row(s, instrument)
    if row.num > 1 and not fits_product(qty, row.num):
        return 0
    size = max(1, abs(qty * row.num))
    most = (MONEY_MAX - 1) // size
    if row.num != row.den and most < PX_MAX:
        most = (MONEY_MAX - 1) // (size // row.den + 1)
    return most


@jit
def in_base(s, currency, money):
    """Money of a currency in the account's first one, by the last rate that was told."""
    return money if currency == 0 else _converted(money, purse(s, currency).rate)


@jit_call
def _converted(money, rate):
    return mul_div(money, rate, SHARE, HALF_EVEN)


@jit
def unit_value(s, instrument):
    """What one unit is worth at the last price, as a number in the account's first currency."""
    row, mark = instrument_row(s, instrument), market(s, instrument).mark
    worth = mark / SCALE
    if row.num != row.den:
        worth = worth * row.num / row.den
    if row.currency != 0:
        worth = worth * purse(s, row.currency).rate / SHARE
    return worth


@jit
def equity_of(s):
    """Cash and what the positions add, over all currencies, in the first one."""
    q = purse(s, 0)
    equity = q.cash + q.market_value
    if rules(s).currencies > 1:
        equity += _equity_elsewhere(s)
    return equity


@jit_call
def _equity_elsewhere(s):
    total = 0
    for currency in range(1, rules(s).currencies):
        q = purse(s, currency)
        total += in_base(s, currency, q.cash + q.market_value)
    return total


@jit
def free_cash(s, currency):
    """Cash of a currency that is neither reserved for working orders nor held for positions, nor still to arrive."""
    q = purse(s, currency)
    free = q.cash - q.reserved - q.hold
    if rules(s).unsettled_block != 0:
        free -= mul_div(max(0, q.sold + q.due), rules(s).unsettled_block, SHARE, UP)
    return free


@jit_shared
def share_of(money, share, up):
    """A share (1e-9) of an amount that is not negative; `up` 1 rounds up, 0 down."""
    if share == SHARE:
        return money
    return mul_div(money, share, SHARE, UP if up != 0 else DOWN)
