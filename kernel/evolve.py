"""The one place where state changes: `evolve` folds one event in, whoever made it.

Folding a recorded tape and running the step go through here alike, which is why they cannot disagree.
"""

from kernel.accounting import apply_dividend, apply_split, revalue
from kernel.codes import Flag, Kind, Reason, TradingState, code
from kernel.jit import jit, jit_call
from kernel.orders import open_slot
from kernel.reports import FIRST_REPORT, LAST_REPORT, fold_report, refuse_report
from kernel.rows import LIMITS
from kernel.tables import account, book, limit_word, market, rules, touched
from kernel.trailing import follow_slice
from kernel.units import HALF_UP, MONEY_MAX, PX_MAX, SHARE, mul_div

BAR, SPLIT, DIVIDEND = code(Kind.BAR), code(Kind.SPLIT), code(Kind.DIVIDEND)
SIGNAL, SUBMITTED, DENIED = code(Kind.SIGNAL), code(Kind.ORDER_SUBMITTED), code(Kind.ORDER_DENIED)
LIMIT_CHANGED, CASH_ADJUSTED = code(Kind.LIMIT_CHANGED), code(Kind.CASH_ADJUSTED)
TRADING_STATE_CHANGED = code(Kind.TRADING_STATE_CHANGED)
PAUSED, RESUMED, FAULT = code(Kind.STRATEGY_PAUSED), code(Kind.STRATEGY_RESUMED), code(Kind.STRATEGY_FAULT)
EQUITY = code(Kind.EQUITY)
WARM_UP = code(Flag.WARM_UP)
NONE, OVERFLOW, BAD_COMMAND = code(Reason.NONE), code(Reason.OVERFLOW), code(Reason.BAD_COMMAND)
UNKNOWN_INSTRUMENT = code(Reason.UNKNOWN_INSTRUMENT)
ACTIVE, HALTED = code(TradingState.ACTIVE), code(TradingState.HALTED)
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
        fold_report(s, e)
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
        limit_word(s, e.code).instrument = e.setting
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
    return refuse_report(s, e)


@jit
def close_slice(s):
    """End the open slice: the account's peak and deepest fall are taken once, after marks and fills."""
    a = account(s)
    follow_slice(s)
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
