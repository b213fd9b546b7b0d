"""Positions and cash, to the unit, by the average-cost method.

At every event and for every account: realized + unrealized + dividends = equity - paid in + fees, and the books of the
strategies sum to the account. A division happens once, when part of a position closes, and its remainder stays in the
cost that is still open, so nothing is ever lost to rounding.
"""

from kernel.jit import jit, jit_call
from kernel.tables import account, book, market, position, rules
from kernel.units import DOWN, HALF_EVEN, HALF_UP, MONEY_MAX, fits_product, mul_div

RATE_SCALE = 1_000_000_000


@jit_call
def fee_of(s, qty, px):
    """Charges of a fill by the run's fee rule, money: the share of its value rounded half up to a multiple of
    `fee_round`, once, plus the flat part, within the bounds; the sum is kept on that multiple too."""
    r = rules(s)
    fee = mul_div(qty * px, r.fee_rate, RATE_SCALE * r.fee_round, HALF_UP) * r.fee_round + r.fee_flat
    if fee < r.fee_min:
        fee = r.fee_min
    if r.fee_max > 0 and fee > r.fee_max:
        fee = r.fee_max
    return mul_div(fee, 1, r.fee_round, HALF_UP) * r.fee_round


@jit
def revalue(s, m, net_qty, mark):
    """Move an instrument to a new net quantity and mark; market value and exposure follow."""
    a = account(s)
    assert fits_product(net_qty, mark), "a position's value is beyond what money holds"
    before, after = m.net_qty * m.mark, net_qty * mark
    a.market_value += after - before
    a.exposure += abs(after) - abs(before)
    assert a.exposure < MONEY_MAX, "the positions together are worth more than money holds"
    m.net_qty, m.mark = net_qty, mark
    if m.short_qty != 0 or m.short_hold != 0:
        _hold(s, m)


@jit_call
def _hold(s, m):
    """Lock the collateral of an instrument's short positions: what they were sold for and, from cash, as much again, or
    what it takes to buy them back now if that is more. A short that loses leaves less to spend."""
    a = account(s)
    assert fits_product(m.short_qty, m.mark), "a short position's value is beyond what money holds"
    more = max(m.short_cost, m.short_qty * m.mark)
    assert m.short_cost < MONEY_MAX - more, "collateral of a short position is beyond what money holds"
    hold = m.short_cost + more
    a.short_hold += hold - m.short_hold
    assert a.short_hold < MONEY_MAX, "collateral of the short positions is beyond what money holds"
    m.short_hold = hold


@jit
def _count_short(m, p, sign):
    """Add position `p` to the instrument's short ones (`sign` 1), or take it out before it changes (-1)."""
    if p.qty < 0:
        m.short_qty -= sign * p.qty
        m.short_cost -= sign * p.cost


@jit
def _split_fill(p, side, qty, px):
    """(closed quantity, cost released, realized) of a fill against position `p`."""
    held = abs(p.qty)
    if p.qty == 0 or (p.qty > 0) == (side > 0):
        return 0, 0, 0
    closed = min(held, qty)
    released = p.cost if closed == held else mul_div(p.cost, closed, held, HALF_EVEN)
    return closed, released, -side * closed * px - released


@jit_call
def assert_money(a):
    """Each change is less than MONEY_MAX, so a sum that was within it cannot come round to the other side unseen."""
    assert abs(a.cash) < MONEY_MAX and abs(a.cost) < MONEY_MAX, "cash or open cost is beyond what money holds"
    assert abs(a.realized) < MONEY_MAX and abs(a.dividends) < MONEY_MAX, "a result is beyond what money holds"
    assert abs(a.fees) < MONEY_MAX, "fees are beyond what money holds"


@jit_call
def apply_fill(s, strategy, instrument, side, qty, px, fee):
    """Book a fill: cash, the strategy's position and book, the account."""
    a, b, m = account(s), book(s, strategy), market(s, instrument)
    p = position(s, strategy, instrument)
    cost = p.cost
    _count_short(m, p, -1)
    closed, released, realized = _split_fill(p, side, qty, px)
    p.qty += side * qty
    p.cost += side * (qty - closed) * px - released
    _count_short(m, p, 1)
    p.realized += realized
    p.fees += fee
    flow = -side * qty * px - fee
    b.cash_flow += flow
    b.realized += realized
    b.fees += fee
    a.cash += flow
    a.cost += p.cost - cost
    a.realized += realized
    a.fees += fee
    assert_money(a)
    revalue(s, m, m.net_qty + side * qty, m.mark)


@jit_call
def apply_split(s, instrument, numerator, denominator, settle_px):
    """Turn `denominator` old shares into `numerator` new ones; fractions are paid out at `settle_px`, the old mark.

    The mark is scaled the same way, rounded down, so that the value before the first bar of the new shares is close.
    """
    a, m = account(s), market(s, instrument)
    mark = mul_div(m.mark, denominator, numerator, DOWN)
    net = 0
    for strategy in range(rules(s).strategies + 1):
        p = position(s, strategy, instrument)
        if p.qty == 0:
            continue
        cost, held = p.cost, p.qty
        _count_short(m, p, -1)
        assert fits_product(held, numerator), "a split makes more shares than a position holds"
        p.qty = mul_div(held, numerator, denominator, DOWN)
        rest = held * numerator - p.qty * denominator  # fractional shares, in 1/denominator
        if rest != 0:
            part = mul_div(p.cost, rest, held * numerator, HALF_EVEN)
            paid = mul_div(settle_px, rest, numerator, HALF_EVEN)
            p.cost -= part
            p.realized += paid - part
            book(s, strategy).realized += paid - part
            book(s, strategy).cash_flow += paid
            a.realized += paid - part
            a.cash += paid
        a.cost += p.cost - cost
        _count_short(m, p, 1)
        net += p.qty
    revalue(s, m, net, mark)
    m.adjustment = m.adjustment * numerator / denominator


@jit_call
def apply_dividend(s, instrument, amount):
    """Pay (or charge a short) `amount` price units a share."""
    a = account(s)
    for strategy in range(rules(s).strategies + 1):
        p = position(s, strategy, instrument)
        if p.qty != 0:
            assert fits_product(p.qty, amount), "a dividend is beyond what money holds"
            paid = p.qty * amount
            p.dividends += paid
            book(s, strategy).dividends += paid
            book(s, strategy).cash_flow += paid
            a.dividends += paid
            a.cash += paid
            assert_money(a)
