"""What the end of a day and the end of a contract do to positions: notes, variation, expiry, exercise, delivery.

At a calendar's DAY_END each line of a segment's contract note is rounded, shares that leave the depository are charged
for once a security, and the gain or loss of open futures is paid at their mark. A contract ends at what its EXPIRY says
its underlying is worth: futures there, options at their intrinsic value, and those that end in shares then change hands
at that price, so that the strike is paid in all. Written options are assigned as bought ones are exercised.
"""

from kernel.amounts import amount, free_cash
from kernel.charges import list_charges, list_note, listed
from kernel.codes import InstrumentClass, Kind, Product, Reason, Side, code
from kernel.events import KERNEL, draft, emit
from kernel.jit import jit_call, jit_shared
from kernel.submit import OTHER_THAN_DELIVERY, cancel_position
from kernel.tables import instrument_row, market, position, purse, rules, segment_row
from kernel.units import DOWN, mul_div

SETTLED, BALANCE, CHARGED = code(Kind.SETTLED), code(Kind.BALANCE), code(Kind.CHARGED)
FUTURE, OPTION = code(InstrumentClass.FUTURE), code(InstrumentClass.OPTION)
VARIATION, EXERCISED, DELIVERED = code(Reason.VARIATION), code(Reason.EXERCISED), code(Reason.DELIVERED)
ANOMALY, CASH = code(Kind.ANOMALY), code(Reason.CASH)
INSTRUMENT_EXPIRED, PRODUCT_MIXED = code(Reason.INSTRUMENT_EXPIRED), code(Reason.PRODUCT_MIXED)
DELIVERY, BUY = code(Product.DELIVERY), code(Side.BUY)


@jit_shared
def send_charge(s, cause, strategy, instrument, order_id, lines):
    """CHARGED with these lines, after the event that caused it; nothing where they are all 0."""
    brokerage, stt, transaction, ipft, sebi, stamp, gst, dp = lines
    if brokerage == stt == transaction == ipft == sebi == stamp == gst == dp == 0:
        return
    e = draft(s, CHARGED, KERNEL, cause.seq, cause.ts_event, cause.ts_init)
    e.instrument, e.strategy, e.order_id = instrument, strategy, order_id
    e.brokerage, e.stt, e.transaction, e.ipft = brokerage, stt, transaction, ipft
    e.sebi, e.stamp, e.gst, e.dp = sebi, stamp, gst, dp
    emit(s, e)


@jit_shared
def _settled(s, cause, strategy, instrument, side, qty, px, reason):
    e = draft(s, SETTLED, KERNEL, cause.seq, cause.ts_event, cause.ts_init)
    p = position(s, strategy, instrument)
    e.instrument, e.strategy, e.side, e.qty, e.px, e.reason = instrument, strategy, side, qty, px, reason
    e.held_qty, e.product = p.qty, DELIVERY if reason == DELIVERED and p.qty == 0 else p.product
    if reason == VARIATION:
        e.variation = amount(s, instrument, p.qty, px) - p.cost
    emit(s, e)
    return e


@jit_call
def settle_day(s, timer, strategy, instrument):
    """What the end of its day does to one position; of strategy 0 also to the security as a whole."""
    row, m = instrument_row(s, instrument), market(s, instrument)
    if row.calendar != timer.setting:
        return
    held = position(s, strategy, instrument).qty
    if row.asset == FUTURE and held != 0 and m.mark > 0 and m.ended == 0:
        _settled(s, timer, strategy, instrument, 0, abs(held), m.mark, VARIATION)
    if strategy == 0 and row.segment != 0 and m.delivered_before < 0:
        list_charges(s, row.segment, DELIVERY, -1, timer.ts_event, 0, 0, 0, 0, 1)
        send_charge(s, timer, 0, instrument, 0, listed(s))


@jit_call
def settle_note(s, timer, segment):
    """Round each line of a segment's note of the day."""
    seg = segment_row(s, segment)
    if seg.calendar != timer.setting:
        return
    list_note(s, segment, timer.ts_event)
    send_charge(s, timer, 0, seg.instrument, 0, listed(s))


@jit_call
def tell_balance(s, cause, currency):
    """BALANCE of a currency, where EQUITY alone does not say it."""
    q = purse(s, currency)
    if rules(s).currencies == 1 and q.sold == 0 and q.due == 0:
        return
    e = draft(s, BALANCE, KERNEL, cause.seq, cause.ts_event, cause.ts_init)
    e.currency, e.cash, e.realized, e.market_value = currency, q.cash, q.realized, q.market_value
    e.fees, e.dividends, e.paid_in, e.hold, e.unsettled = q.fees, q.dividends, q.paid_in, q.hold, q.sold + q.due
    emit(s, e)


@jit_call
def price_expiry(s, e):
    """Fill in what an EXPIRY leaves open: what the underlying is worth, the strike, and what a unit ends at."""
    row, m = instrument_row(s, e.instrument), market(s, e.instrument)
    e.strike_px = row.strike
    if e.underlying_px == 0 and row.underlying >= 0:
        e.underlying_px = market(s, row.underlying).mark
    if e.underlying_px == 0:
        e.settle_px = m.mark  # nothing is known of the underlying
    elif row.asset == OPTION:
        e.settle_px = max(0, row.right * (e.underlying_px - row.strike))
    else:
        e.settle_px = e.underlying_px


@jit_call
def settle_contract(s, expiry, strategy):
    """End one strategy's position in the contract."""
    row, instrument = instrument_row(s, expiry.instrument), expiry.instrument
    held = position(s, strategy, instrument).qty
    if held == 0:
        return
    exercised = row.asset == OPTION and expiry.settle_px > 0
    side, qty = -1 if held > 0 else 1, abs(held)
    reason = EXERCISED if exercised else INSTRUMENT_EXPIRED
    _settled(s, expiry, strategy, instrument, side, qty, expiry.settle_px, reason)
    if exercised and held > 0 and row.segment != 0:
        worth = amount(s, instrument, qty, expiry.settle_px)
        list_charges(s, row.segment, DELIVERY, BUY, expiry.ts_event, 0, worth, 0, 0, 0)  # it is the buyer who pays
        send_charge(s, expiry, strategy, instrument, 0, listed(s))
    if row.physical != 0 and row.underlying >= 0 and expiry.underlying_px > 0 and (exercised or row.asset == FUTURE):
        _deliver(s, expiry, strategy, row, -side * (row.right if row.asset == OPTION else 1), qty)


@jit_call
def _deliver(s, expiry, strategy, row, side, qty):
    """Shares of the underlying change hands at its price."""
    under = instrument_row(s, row.underlying)
    shares = mul_div(qty, row.num * under.den, row.den * under.num, DOWN)
    px = expiry.underlying_px
    cancel_position(s, expiry, strategy, row.underlying, PRODUCT_MIXED, OTHER_THAN_DELIVERY)
    _settled(s, expiry, strategy, row.underlying, side, shares, px, DELIVERED)
    free = free_cash(s, under.currency)
    if free < 0:
        notice = draft(s, ANOMALY, KERNEL, expiry.seq, expiry.ts_event, expiry.ts_init)
        notice.instrument, notice.strategy, notice.reason, notice.qty = row.underlying, strategy, CASH, shares
        emit(s, notice)
    if under.segment != 0:
        worth = amount(s, row.underlying, shares, px)
        list_charges(s, under.segment, DELIVERY, side, expiry.ts_event, worth, 0, 0, 0, 0)
        send_charge(s, expiry, strategy, row.underlying, 0, listed(s))
