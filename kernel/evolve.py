"""The one place where state changes: `evolve` folds one event in, whoever made it.

Folding a recorded tape and running the step go through here alike, which is why they cannot disagree.
"""

from kernel.accounting import apply_dividend, apply_fill, apply_split, revalue
from kernel.codes import Flag, Kind, Reason, Status, TradingState, code
from kernel.jit import jit, jit_call
from kernel.lifecycle import TRANSITION
from kernel.orders import count_working, find_slot, free_slot, open_slot
from kernel.reserve import set_aside, value_order
from kernel.state import LIMITS
from kernel.tables import account, book, limits, market, order, pending_fill, program_of, rules, touched
from kernel.units import HALF_UP, MONEY_MAX, PX_MAX, QTY_MAX, SHARE, UP, fits_product, mul_div

BAR, SPLIT, DIVIDEND = code(Kind.BAR), code(Kind.SPLIT), code(Kind.DIVIDEND)
SIGNAL, SUBMITTED, DENIED = code(Kind.SIGNAL), code(Kind.ORDER_SUBMITTED), code(Kind.ORDER_DENIED)
CANCEL_SUBMITTED, TRIGGERED = code(Kind.ORDER_CANCEL_SUBMITTED), code(Kind.ORDER_TRIGGERED)
FILLED, RESTATED = code(Kind.ORDER_FILLED), code(Kind.ORDER_RESTATED)
FIRST_REPORT, LAST_REPORT = CANCEL_SUBMITTED, RESTATED  # kinds that speak about a working order
LIMIT_CHANGED, CASH_ADJUSTED = code(Kind.LIMIT_CHANGED), code(Kind.CASH_ADJUSTED)
TRADING_STATE_CHANGED = code(Kind.TRADING_STATE_CHANGED)
PAUSED, RESUMED, FAULT = code(Kind.STRATEGY_PAUSED), code(Kind.STRATEGY_RESUMED), code(Kind.STRATEGY_FAULT)
EQUITY = code(Kind.EQUITY)
WARM_UP = code(Flag.WARM_UP)
NONE, ILLEGAL_MOVE, UNKNOWN_ORDER = code(Reason.NONE), code(Reason.ILLEGAL_MOVE), code(Reason.UNKNOWN_ORDER)
OVERFILL, OVERFLOW, UNKNOWN_INSTRUMENT = code(Reason.OVERFILL), code(Reason.OVERFLOW), code(Reason.UNKNOWN_INSTRUMENT)
ST_FILLED, ST_ILLEGAL = code(Status.FILLED), code(Status.ILLEGAL)
ST_CANCELED, ST_REJECTED, ST_EXPIRED = code(Status.CANCELED), code(Status.REJECTED), code(Status.EXPIRED)
ACTIVE, HALTED, BAD_COMMAND = code(TradingState.ACTIVE), code(TradingState.HALTED), code(Reason.BAD_COMMAND)
LIMIT_FIELDS = len(LIMITS.names)
RUNNING, ON_PAUSE, FAILED = 0, 1, 2  # book.stopped


@jit_call
def evolve(s, e):
    """Fold event `e` into the state. `seq` is gapless and `ts_init` never goes back; both are asserted."""
    a = account(s)
    assert e.seq == a.seq + 1, "an event is missing or comes twice: seq must be gapless"
    assert e.ts_init >= a.ts, "ts_init goes back: the tape is not in availability order"
    a.seq = e.seq
    a.ts = e.ts_init
    if e.kind == BAR:
        _fold_bar(s, e)
    else:
        fold_other(s, e)


@jit
def _fold_bar(s, e):
    a, m = account(s), market(s, e.instrument)
    a.bars += 1
    if m.net_qty != 0 or m.short_qty != 0:
        revalue(s, m, m.net_qty, e.close)
    else:
        m.mark = e.close
    m.ts_mark, m.bar_seq = e.ts_event, e.seq
    m.ts_open, m.open, m.high, m.low = e.ts_open, e.open, e.high, e.low
    m.volume, m.open_interest = e.volume, e.open_interest
    m.warm_up = e.flags & WARM_UP
    if m.slice != a.slices:
        m.slice = a.slices
        k = a.touched
        while (
            k > 0 and touched(s, k - 1).instrument > e.instrument
        ):  # bars of a slice come in instrument order; late ones move in
            touched(s, k).instrument = touched(s, k - 1).instrument
            k -= 1
        touched(s, k).instrument = e.instrument
        a.touched += 1


@jit_call
def fold_other(s, e):
    """Fold anything that is not a bar."""
    a, kind = account(s), e.kind
    if kind == SIGNAL:
        a.signals += 1
    elif kind == SUBMITTED:
        a.orders += 1
        open_slot(s, e)
    elif kind == DENIED:
        a.denied += 1
    elif FIRST_REPORT <= kind <= LAST_REPORT:
        _fold_report(s, e)
    elif kind == EQUITY:
        interval = rules(s).equity_interval
        if interval > 0:
            a.equity_due = (e.ts_init // interval + 1) * interval
    elif kind == SPLIT:
        if refusal(s, e) == NONE:
            apply_split(s, e.instrument, e.numerator, e.denominator, e.settle_px)
    elif kind == DIVIDEND:
        if refusal(s, e) == NONE:
            apply_dividend(s, e.instrument, e.amount)
    else:
        _fold_control(s, e)


@jit_call
def _fold_report(s, e):
    """Fold what a venue says about a working order; a report that `refusal` names changes nothing."""
    if refusal(s, e) != NONE:
        return
    slot = find_slot(s, e.instrument, e.order_id)
    a, o = account(s), order(s, slot)
    status = TRANSITION[o.status, e.kind]
    strategy, instrument = o.strategy, o.instrument
    if e.kind == FILLED:
        a.fills += 1
        o.leaves_qty -= e.qty
        o.cum_qty += e.qty
        count_working(s, o, -e.qty, 0)
        _remember_fill(s, o, e)
        apply_fill(s, o.strategy, o.instrument, o.side, e.qty, e.px, e.fee)
        if o.leaves_qty == 0:
            status = ST_FILLED
    elif e.kind == TRIGGERED:
        o.triggered_by = e.cause if e.cause > 0 else e.seq
    elif e.kind == RESTATED:
        count_working(s, o, e.leaves_qty - o.leaves_qty, 0)
        o.reserve_px = min(PX_MAX - 1, mul_div(o.reserve_px, o.qty, e.qty, UP))  # the same value in other shares
        o.qty, o.leaves_qty, o.cum_qty, o.px, o.trigger_px = e.qty, e.leaves_qty, e.cum_qty, e.px, e.trigger_px
    o.status = status
    if status == ST_FILLED or status == ST_CANCELED or status == ST_REJECTED or status == ST_EXPIRED:
        free_slot(s, slot)
    else:
        value_order(s, o)
    set_aside(s, strategy, instrument)


@jit
def _remember_fill(s, o, e):
    """Keep a fill for its strategy's on_fill, called when the slice ends."""
    a = account(s)
    if program_of(s, o.strategy).on_fill == 0:
        return
    assert a.pending_fills < s.fills_count, "more fills in one slice than capacity.open_orders"
    f = pending_fill(s, a.pending_fills)
    f.order_id, f.qty, f.px, f.fee, f.seq, f.ts = o.order_id, e.qty, e.px, e.fee, e.seq, e.ts_event
    f.instrument, f.strategy, f.side = o.instrument, o.strategy, o.side
    a.pending_fills += 1


@jit_call
def _fold_control(s, e):
    a, kind = account(s), e.kind
    if LIMIT_CHANGED <= kind <= CASH_ADJUSTED and refusal(s, e) != NONE:
        return
    if kind == CASH_ADJUSTED:
        a.cash += e.amount_money
        a.paid_in += e.amount_money
        a.peak += e.amount_money
    elif kind == TRADING_STATE_CHANGED:
        a.trading_state = e.setting
    elif kind == LIMIT_CHANGED:
        limit = limits(s)
        if e.code == 0:
            limit.max_order_qty = e.setting
        elif e.code == 1:
            limit.max_order_notional = e.setting
        elif e.code == 2:
            limit.max_position_qty = e.setting
        elif e.code == 3:
            limit.allow_short = e.setting
        elif e.code == 4:
            limit.market_buffer_bps = e.setting
    elif kind == FAULT:
        a.faults += 1
        book(s, e.strategy).stopped = FAILED
    elif kind == PAUSED:
        if book(s, e.strategy).stopped == RUNNING:
            book(s, e.strategy).stopped = ON_PAUSE
    elif kind == RESUMED and book(s, e.strategy).stopped == ON_PAUSE:
        book(s, e.strategy).stopped = RUNNING


@jit
def _refuse_command(s, e):
    """Whether a command names what exists and sets what can be; anything else changes nothing."""
    fits = 0 < e.strategy <= rules(s).strategies
    if e.kind == CASH_ADJUSTED:
        fits = -MONEY_MAX < e.amount_money < MONEY_MAX and -MONEY_MAX < account(s).cash + e.amount_money < MONEY_MAX
    elif e.kind == TRADING_STATE_CHANGED:
        fits = ACTIVE <= e.setting <= HALTED
    elif e.kind == LIMIT_CHANGED:
        fits = 0 <= e.code < LIMIT_FIELDS and 0 <= e.setting < MONEY_MAX
    return NONE if fits else BAD_COMMAND


@jit_call
def refusal(s, e):
    """Why a report or corporate action must not change the state, Reason.NONE when it may."""
    if LIMIT_CHANGED <= e.kind <= CASH_ADJUSTED:
        return _refuse_command(s, e)
    if e.instrument < 0 or e.instrument >= rules(s).instruments:
        return UNKNOWN_INSTRUMENT
    if e.kind == SPLIT:
        fits = 0 < e.numerator < 1_000_000 and 0 < e.denominator < 1_000_000
        return NONE if fits else OVERFLOW
    if e.kind == DIVIDEND:
        return NONE if 0 <= e.amount < PX_MAX else OVERFLOW
    slot = find_slot(s, e.instrument, e.order_id)
    if slot < 0:
        return UNKNOWN_ORDER
    o = order(s, slot)
    if TRANSITION[o.status, e.kind] == ST_ILLEGAL:
        return ILLEGAL_MOVE
    if e.kind == FILLED:
        fee_fits = -MONEY_MAX < e.fee < MONEY_MAX  # not abs(): that of the lowest int64 is itself
        if not (0 < e.px < PX_MAX and 0 < e.qty < QTY_MAX and fits_product(e.qty, e.px) and fee_fits):
            return OVERFLOW
        if e.qty > o.leaves_qty:
            return OVERFILL
    elif e.kind == RESTATED:
        qty_fits = 0 < e.leaves_qty < QTY_MAX and 0 <= e.cum_qty < QTY_MAX and e.qty == e.leaves_qty + e.cum_qty
        if not (qty_fits and 0 <= e.px < PX_MAX and 0 <= e.trigger_px < PX_MAX):
            return OVERFLOW
    return NONE


@jit
def close_slice(s):
    """End the open slice: the account's peak and deepest fall are taken once, after marks and fills."""
    a = account(s)
    equity = a.cash + a.market_value
    if equity > a.peak:
        a.peak, a.fall = equity, 0
    elif a.peak - equity > a.fall:
        a.fall = a.peak - equity
        a.drawdown = max(a.drawdown, a.fall)
        if a.peak > 0:
            a.drawdown_share = max(a.drawdown_share, mul_div(min(a.fall, a.peak), SHARE, a.peak, HALF_UP))


@jit
def open_slice(s):
    """Forget the slice that was decided."""
    a = account(s)
    a.touched = 0
    a.pending_fills = 0
    a.slices += 1
    a.cursor = -1
