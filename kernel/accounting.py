"""Positions and cash, to the unit, at average cost or first in, first out.

At every event and for every currency: realized + unrealized + dividends = equity - paid in + fees, and the books of the
strategies sum to the account. An amount is rounded once, when it is made; a division of a cost happens once, when part
of a position closes, and its remainder stays in the cost that is still open, so nothing is ever lost to rounding.

Shares and options are paid for when they are bought. A future is not: a fill of one moves what it closes at a gain or a
loss, and at the end of the day the gain or loss of what is open is paid, which then costs what it is worth.
"""

from kernel.amounts import amount, fits_amount
from kernel.codes import InstrumentClass, Product, code
from kernel.jit import jit_call, jit_shared
from kernel.lots import count_lots, restate_lots, revalue_lots
from kernel.margin import count_margin, mark_instrument, move_quantity
from kernel.rows import BUILDERS
from kernel.tables import book, builder, instrument_row, market, position, purse, rules
from kernel.units import DOWN, HALF_EVEN, HALF_UP, MONEY_MAX, SHARE, fits_product, mul_div

EQUITY, FUTURE = code(InstrumentClass.EQUITY), code(InstrumentClass.FUTURE)
INTRADAY = code(Product.INTRADAY)


@jit_call
def fee_of(s, value):
    """What the venue takes for a fill of that value by the run's fee rule, money: the share of it rounded half up to a
    multiple of `fee_round`, once, plus the flat part, within the bounds; the sum is kept on that multiple too."""
    r = rules(s)
    if r.fee_rate == 0 and r.fee_flat == 0:
        return 0
    fee = mul_div(value, r.fee_rate, SHARE * r.fee_round, HALF_UP) * r.fee_round + r.fee_flat
    if fee < r.fee_min:
        fee = r.fee_min
    if r.fee_max > 0 and fee > r.fee_max:
        fee = r.fee_max
    return fee if r.fee_round == 1 else mul_div(fee, 1, r.fee_round, HALF_UP) * r.fee_round


@jit_call
def assert_money(q):
    """Each change is less than MONEY_MAX, so a sum that was within it cannot come round to the other side unseen."""
    assert abs(q.cash) < MONEY_MAX and abs(q.cost) < MONEY_MAX, "cash or open cost is beyond what money holds"
    assert abs(q.realized) < MONEY_MAX and abs(q.dividends) < MONEY_MAX, "a result is beyond what money holds"
    assert abs(q.fees) < MONEY_MAX, "fees are beyond what money holds"


@jit_shared
def apply_fill(s, strategy, instrument, side, qty, px, fee):
    """Book a fill: cash, the strategy's position and book, the account."""
    row, b, m = instrument_row(s, instrument), book(s, strategy), market(s, instrument)
    q, p = purse(s, row.currency), position(s, strategy, instrument)
    cost, paid = p.cost, amount(s, instrument, qty, px)
    count_margin(row, m, p, -1)
    held = abs(p.qty)
    closed = 0 if p.qty == 0 or (p.qty > 0) == (side > 0) else min(held, qty)
    closing = paid if closed == qty else amount(s, instrument, closed, px)
    opening = side * (paid - closing)
    released = count_lots(s, p, closed, qty - closed, opening)
    if released == -1:
        released = p.cost if closed == held else mul_div(p.cost, closed, held, HALF_EVEN)
    elif closed == held:
        released = p.cost
    realized = -side * closing - released if closed > 0 else 0
    p.qty += side * qty
    p.cost += opening - (released if closed > 0 else 0)
    count_margin(row, m, p, 1)
    flow = -side * paid - fee
    if row.asset == FUTURE:
        flow = realized - fee
    if side < 0 and row.settles != 0 and p.product != INTRADAY:
        q.sold += paid
    p.realized += realized
    p.fees += fee
    b.cash_flow += flow
    b.realized += realized
    b.fees += fee
    q.cash += flow
    if row.asset != FUTURE:
        q.cost += p.cost - cost
    q.realized += realized
    q.fees += fee
    assert_money(q)
    move_quantity(s, instrument, m, side * qty, p.cost - cost)
    if row.segment != 0 and p.product != INTRADAY and row.asset == EQUITY:
        market(s, row.security).delivered += side * qty
    mark_instrument(s, instrument, m, m.mark)


@jit_call
def apply_charge(s, e):
    """Take what a CHARGED event lists from the position, its book and cash."""
    total = e.brokerage + e.stt + e.transaction + e.ipft + e.sebi + e.stamp + e.gst + e.dp
    q = purse(s, instrument_row(s, e.instrument).currency)
    b = book(s, e.strategy)
    position(s, e.strategy, e.instrument).fees += total
    b.fees += total
    b.cash_flow -= total
    q.fees += total
    q.cash -= total
    assert_money(q)


@jit_call
def apply_variation(s, strategy, instrument, px):
    """Pay the gain or loss of an open future at `px`; it then costs what it is worth there."""
    row, m = instrument_row(s, instrument), market(s, instrument)
    q, p, b = purse(s, row.currency), position(s, strategy, instrument), book(s, strategy)
    count_margin(row, m, p, -1)
    worth = amount(s, instrument, p.qty, px)
    gain = worth - p.cost
    p.cost = worth
    revalue_lots(s, p)
    count_margin(row, m, p, 1)
    p.realized += gain
    b.realized += gain
    b.cash_flow += gain
    q.realized += gain
    q.cash += gain
    move_quantity(s, instrument, m, 0, gain)
    assert_money(q)
    mark_instrument(s, instrument, m, m.mark)


@jit_call
def apply_split(s, instrument, numerator, denominator, settle_px):
    """Turn `denominator` old shares into `numerator` new ones; fractions are paid out at `settle_px`, the old mark.

    The mark is scaled the same way, rounded down, so that the value before the first bar of the new shares is close.
    """
    row, m = instrument_row(s, instrument), market(s, instrument)
    q = purse(s, row.currency)
    mark = mul_div(m.mark, denominator, numerator, DOWN)
    for strategy in range(rules(s).strategies + 1):
        p = position(s, strategy, instrument)
        if p.qty == 0:
            continue
        cost, held, part = p.cost, p.qty, 0
        count_margin(row, m, p, -1)
        assert fits_product(held, numerator), "a split makes more shares than a position holds"
        p.qty = mul_div(held, numerator, denominator, DOWN)
        rest = held * numerator - p.qty * denominator  # fractional shares, in 1/denominator
        if rest != 0:
            part = p.cost if p.qty == 0 else mul_div(p.cost, rest, held * numerator, HALF_EVEN)
            paid = mul_div(amount(s, instrument, rest, settle_px), 1, numerator, HALF_EVEN)
            flow = paid - part if row.asset == FUTURE else paid
            p.cost -= part
            p.realized += paid - part
            book(s, strategy).realized += paid - part
            book(s, strategy).cash_flow += flow
            q.realized += paid - part
            q.cash += flow
        restate_lots(s, p, numerator, denominator, part)
        if row.asset != FUTURE:
            q.cost += p.cost - cost
        move_quantity(s, instrument, m, p.qty - held, p.cost - cost)
        count_margin(row, m, p, 1)
    m.delivered = mul_div(m.delivered, numerator, denominator, DOWN)
    mark_instrument(s, instrument, m, mark)
    m.bid_px = m.ask_px = m.bid_qty = m.ask_qty = m.odd_px = m.odd_ticks = 0  # of old shares
    for n in range(BUILDERS):
        builder(s, instrument, n).trades = builder(s, instrument, n).volume = builder(s, instrument, n).value = 0
    m.adjustment = m.adjustment * numerator / denominator


@jit_call
def apply_dividend(s, instrument, per_share):
    """Pay (or charge a short) `per_share` price units a share."""
    q = purse(s, instrument_row(s, instrument).currency)
    if instrument_row(s, instrument).asset != EQUITY:
        return  # a contract has none
    for strategy in range(rules(s).strategies + 1):
        p = position(s, strategy, instrument)
        if p.qty != 0:
            assert fits_amount(s, instrument, p.qty, per_share), "a dividend is beyond what money holds"
            paid = amount(s, instrument, p.qty, per_share)
            p.dividends += paid
            book(s, strategy).dividends += paid
            book(s, strategy).cash_flow += paid
            q.dividends += paid
            q.cash += paid
            assert_money(q)
