"""Cash that positions hold: collateral of shorts, margin of what is not paid for in full.

* Shares bought for delivery are paid for; nothing is held. Sold short, what they were sold for is held and as much
  again, or what buying them back costs now if that is more: a short that loses leaves less to spend.
* Shares held on margin (products INTRADAY and MARGIN, where the instrument's `margin` is less than all) take that share
  of their worth: long, the rest of what was paid can be spent again, counted at the lower of cost and mark; short, the
  proceeds are held and that share of them.
* Futures take `margin` of their worth either way, and an open loss is held in full.
* Options are paid for when bought; written, the premium's worth is held and `margin` of the strike value.

An exchange's own margin (SPAN) is a table of its own; `margin` is one rate an instrument, to be set on the high side.
"""

from kernel.amounts import amount, highest_px, share_of
from kernel.codes import InstrumentClass, Product, code
from kernel.jit import jit, jit_call, jit_shared
from kernel.tables import instrument_row, purse, weight
from kernel.units import MONEY_MAX, SHARE

EQUITY, FUTURE, OPTION = code(InstrumentClass.EQUITY), code(InstrumentClass.FUTURE), code(InstrumentClass.OPTION)
INTRADAY, MARGIN = code(Product.INTRADAY), code(Product.MARGIN)


@jit
def on_margin(row, product):
    """Whether a position of this product is held on margin."""
    if row.asset == EQUITY:
        return row.margin != SHARE and (product == INTRADAY or product == MARGIN)
    return True


@jit
def count_margin(row, m, p, sign):
    """Add position `p` to what its instrument holds cash for (`sign` 1), or take it out before it changes (-1)."""
    if p.qty != 0:
        m.positions += sign
    if p.qty < 0:
        if on_margin(row, p.product):
            m.margin_short -= sign * p.qty
            m.margin_short_cost -= sign * p.cost
        else:
            m.short_qty -= sign * p.qty
            m.short_cost -= sign * p.cost
    elif p.qty > 0 and row.asset != OPTION and on_margin(row, p.product):
        m.margin_long += sign * p.qty
        m.margin_long_cost += sign * p.cost


@jit
def hold_cash(s, instrument, m):
    """Hold what the positions of an instrument take at its mark."""
    if m.short_qty != 0 or m.margin_long != 0 or m.margin_short != 0 or m.hold != 0:
        _hold_cash(s, instrument, m)


@jit_call
def _hold_cash(s, instrument, m):
    row = instrument_row(s, instrument)
    q = purse(s, row.currency)
    hold = _hold_of(s, instrument, row, m)
    assert abs(hold) < MONEY_MAX, "collateral of a position is beyond what money holds"
    q.hold += hold - m.hold
    assert abs(q.hold) < MONEY_MAX, "collateral of the positions is beyond what money holds"
    m.hold = hold


@jit
def _hold_of(s, instrument, row, m):
    if row.asset == FUTURE:
        worth = amount(s, instrument, m.margin_long, m.mark) + amount(s, instrument, m.margin_short, m.mark)
        return share_of(worth, row.margin, 1) + max(0, -m.value)
    if row.asset == OPTION:
        worth = amount(s, instrument, m.margin_short, m.mark)
        return worth + share_of(amount(s, instrument, m.margin_short, row.strike), row.margin, 1)
    hold = 0
    if m.short_qty != 0:
        hold = m.short_cost + max(m.short_cost, amount(s, instrument, m.short_qty, m.mark))
    if m.margin_short != 0:
        worth = max(m.margin_short_cost, amount(s, instrument, m.margin_short, m.mark))
        hold += worth + share_of(worth, row.margin, 1)
    if m.margin_long != 0:
        worth = min(m.margin_long_cost, amount(s, instrument, m.margin_long, m.mark))
        hold -= worth - share_of(worth, row.margin, 1)
    return hold


@jit
def block(s, instrument, product, side, qty, px, up):
    """What opening `qty` at `px` takes from free cash, charges apart, money; `up` 1 rounds up, 0 down."""
    row = instrument_row(s, instrument)
    if row.asset == EQUITY and row.margin == SHARE:
        return amount(s, instrument, qty, px)
    return _block(s, instrument, product, side, qty, px, up)


@jit_shared
def _block(s, instrument, product, side, qty, px, up):
    row = instrument_row(s, instrument)
    if not on_margin(row, product) or (row.asset == OPTION and side > 0):
        return amount(s, instrument, qty, px)
    if row.asset == OPTION:
        return share_of(amount(s, instrument, qty, row.strike), row.margin, up)
    return share_of(amount(s, instrument, qty, px), row.margin, up)


@jit_shared
def move_quantity(s, instrument, m, qty, cost):
    """An instrument's positions change by `qty` and `cost`."""
    m.net_qty += qty
    m.cost += cost
    m.px_max = highest_px(s, instrument, m.net_qty)
    m.plain = 0  # until it is marked


@jit
def mark_instrument(s, instrument, m, mark):
    """Move an instrument to a new mark, after its quantity and cost have; equity, exposure and margin follow."""
    assert mark <= m.px_max, "a position's value is beyond what money holds"
    weight(s, 0).marks += 1
    if m.plain != 0:  # nearly every bar: what the rest comes to
        q, value = purse(s, 0), m.net_qty * mark
        change = value - m.value
        q.market_value += change
        q.exposure += change
        q.net += change
        m.worth = m.value = value
        m.mark = mark
        assert q.exposure < MONEY_MAX, "the positions together are worth more than money holds"
    else:
        _mark_instrument(s, instrument, m, mark)


@jit_shared
def _mark_instrument(s, instrument, m, mark):
    row = instrument_row(s, instrument)
    q = purse(s, row.currency)
    worth = amount(s, instrument, m.net_qty, mark)
    value = worth - m.cost if row.asset == FUTURE else worth
    q.market_value += value - m.value
    q.exposure += abs(worth) - abs(m.worth)
    q.net += worth - m.worth
    assert q.exposure < MONEY_MAX, "the positions together are worth more than money holds"
    m.worth, m.value, m.mark = worth, value, mark
    hold_cash(s, instrument, m)
    holds = m.hold != 0 or m.short_qty != 0 or m.margin_long != 0 or m.margin_short != 0
    usual = row.currency == 0 and row.num == row.den and row.asset != FUTURE
    m.plain = 1 if usual and not holds else 0
