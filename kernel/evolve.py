"""The one place where state changes: `evolve` folds one event in, whoever made it.

Folding a recorded tape and running the step go through here alike, which is why they cannot disagree.
"""

import numpy as np

from kernel.accounting import apply_dividend, apply_split
from kernel.amounts import equity_of, in_base
from kernel.bars import clear_bar, count_trade, is_late
from kernel.codes import Flag, KillLevel, Kind, Origin, Reason, Status, TimerCode, TradingState, code
from kernel.directional import take_directional
from kernel.jit import jit, jit_call, jit_shared
from kernel.limits import capital_of, result_of
from kernel.margin import mark_instrument
from kernel.orders import count_order, count_recent, open_slot
from kernel.reports import FIRST_REPORT, LAST_REPORT, fold_charge, fold_report, fold_settled, refuse_report
from kernel.rows import LIMIT_BOUNDS, LIMITS, LISTED, OFF_THE_LIST, RING, TIME_MIN
from kernel.tables import (
    account,
    book,
    bound,
    charge,
    instrument_row,
    limit_word,
    limits,
    market,
    position,
    purse,
    recent,
    rules,
    segment_row,
    tally,
    touched,
    weight,
)
from kernel.tick_folding import fold_bad, is_bad, queue_orders
from kernel.trailing import follow_price, follow_slice
from kernel.units import HALF_UP, MONEY_MAX, PX_MAX, QTY_MAX, SHARE, mul_div

BAR, SPLIT, DIVIDEND = code(Kind.BAR), code(Kind.SPLIT), code(Kind.DIVIDEND)
QUOTE, TRADE, KERNEL = code(Kind.QUOTE), code(Kind.TRADE), code(Origin.KERNEL)
SIGNAL, SUBMITTED, DENIED = code(Kind.SIGNAL), code(Kind.ORDER_SUBMITTED), code(Kind.ORDER_DENIED)
LIMIT_CHANGED, CASH_ADJUSTED = code(Kind.LIMIT_CHANGED), code(Kind.CASH_ADJUSTED)
TRADING_STATE_CHANGED = code(Kind.TRADING_STATE_CHANGED)
PAUSED, RESUMED, FAULT = code(Kind.STRATEGY_PAUSED), code(Kind.STRATEGY_RESUMED), code(Kind.STRATEGY_FAULT)
EQUITY, EXPIRY, FX_RATE = code(Kind.EQUITY), code(Kind.EXPIRY), code(Kind.FX_RATE)
TERMS_CHANGED = code(Kind.TERMS_CHANGED)
CHARGED, SETTLED, TIMER = code(Kind.CHARGED), code(Kind.SETTLED), code(Kind.TIMER)
DAY_END, SQUARE_OFF = code(TimerCode.DAY_END), code(TimerCode.SQUARE_OFF)
SESSION_OPEN, SESSION_CLOSE = code(TimerCode.SESSION_OPEN), code(TimerCode.SESSION_CLOSE)
TRIPPED, KILL_RESET, ANOMALY = code(Kind.TRIPPED), code(Kind.KILL_RESET), code(Kind.ANOMALY)
RELEASED, REGIME_CHANGED = code(Kind.ORDER_RELEASED), code(Kind.REGIME_CHANGED)
EXTERNAL, PENDING_NEW, FLATTEN = code(Origin.EXTERNAL), code(Status.PENDING_NEW), code(KillLevel.FLATTEN)
DAY = 86_400_000_000_000
WARM_UP, LEFT = code(Flag.WARM_UP), code(Flag.LEFT)
NONE, OVERFLOW, BAD_COMMAND = code(Reason.NONE), code(Reason.OVERFLOW), code(Reason.BAD_COMMAND)
UNKNOWN_INSTRUMENT = code(Reason.UNKNOWN_INSTRUMENT)
ACTIVE, HALTED = code(TradingState.ACTIVE), code(TradingState.HALTED)
LIMIT_FIELDS = len(LIMITS.names)
DAY_LOSS, DRAWDOWN = LIMITS.names.index("max_day_loss"), LIMITS.names.index("max_drawdown")  # as `code` has them
LIMIT_MOST = np.array([LIMIT_BOUNDS.get(name, MONEY_MAX - 1) for name in LIMITS.names])
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
        if e.origin == KERNEL:
            clear_bar(s, e.instrument)
    elif e.kind == QUOTE or e.kind == TRADE:
        _fold_tick(s, e)
    else:
        fold_other(s, e)


@jit
def _fold_bar(s, e):
    a, m = account(s), market(s, e.instrument)
    a.bars += 1
    m.bars += 1
    if e.origin != KERNEL:  # a bar made of trades says nothing new of the price
        if m.positions != 0:
            mark_instrument(s, e.instrument, m, e.close)
        else:
            m.mark = e.close
        m.ts_mark = e.ts_event
    m.ts_bar, m.close, m.bar_seq = e.ts_event, e.close, e.seq
    m.ts_open, m.open, m.high, m.low = e.ts_open, e.open, e.high, e.low
    m.volume, m.open_interest = e.volume, e.open_interest
    m.warm_up = e.flags & (WARM_UP | LEFT)
    if rules(s).regime_period != 0:
        take_directional(s, e, m)
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
def _fold_tick(s, e):
    """A quote moves the best prices, a trade the mark; a bad one is counted and no more."""
    m = market(s, e.instrument)
    if is_bad(s, e):
        fold_bad(s, e)
        return
    if e.kind == TRADE and is_late(s, m, e):
        m.late += 1
        return
    m.ticks += 1
    m.bars += 1
    m.odd_ticks = m.odd_px = 0
    bound(s, e.instrument).rests = 0
    if e.kind == QUOTE:
        if e.bid_px != m.bid_px or e.bid_qty != m.bid_qty:
            m.bid_taken = 0
        if e.ask_px != m.ask_px or e.ask_qty != m.ask_qty:
            m.ask_taken = 0
        m.bid_px, m.ask_px, m.bid_qty, m.ask_qty, m.ts_quote = e.bid_px, e.ask_px, e.bid_qty, e.ask_qty, e.ts_event
        if m.trades_seen == 0 and e.bid_px > 0 and e.ask_px > 0:
            _move_mark(s, e, m, (e.bid_px + e.ask_px) // 2)
    else:
        m.trades_seen += 1
        if e.trade_interest > 0:
            m.open_interest = e.trade_interest
        _move_mark(s, e, m, e.trade_px)
        if m.trailing > 0:
            follow_price(s, e.instrument, e.trade_px, e.trade_px, e.ts_init)
        count_trade(s, e)
    if m.order_head >= 0:
        queue_orders(s, e)


@jit
def _move_mark(s, e, m, px):
    if m.positions != 0:
        mark_instrument(s, e.instrument, m, px)
    else:
        m.mark = px
    m.ts_mark = e.ts_event


@jit
def is_ours(kind):
    """Whether only the kernel says this: from outside it is refused and changes nothing."""
    asked = SIGNAL <= kind <= RELEASED or CHARGED <= kind <= SETTLED
    return asked or FAULT <= kind <= REGIME_CHANGED


@jit_call
def fold_other(s, e):
    """Fold anything that is not a bar."""
    a, kind = account(s), e.kind
    if e.origin == EXTERNAL and is_ours(kind):
        return
    if kind == SIGNAL:
        a.signals += 1
    elif kind == SUBMITTED:
        a.orders += 1
        open_slot(s, e)
        if e.status != PENDING_NEW:
            count_order(s, e)
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
    elif kind == CHARGED:
        fold_charge(s, e)
    elif kind == SETTLED:
        fold_settled(s, e)
    elif kind == EXPIRY:
        if refusal(s, e) == NONE:
            market(s, e.instrument).ended = 1
    elif kind == FX_RATE:
        if refusal(s, e) == NONE:
            purse(s, e.currency).rate = e.rate
            weight(s, 0).marks += 1
    elif kind == TERMS_CHANGED:
        if refusal(s, e) == NONE:
            _fold_terms(s, e)
    elif kind == TIMER:
        _fold_timer(s, e)
    elif kind == REGIME_CHANGED:
        m = market(s, e.instrument)
        m.regime, m.direction = e.regime, e.direction
    elif kind == ANOMALY:
        _count_error(s, e)
    elif kind == TRIPPED or kind == KILL_RESET:
        _fold_guard(s, e)
    else:
        _fold_control(s, e)


@jit_call
def _fold_terms(s, e):
    """What comes from here on is checked and rounded by these; orders that work stay as they are at the venue."""
    row = instrument_row(s, e.instrument)
    row.tick, row.lot, row.freeze = e.tick, e.lot, e.freeze_qty
    bound(s, e.instrument).rests = 0  # market protection of a stop that was set off is on the tick


@jit_call
def _fold_control(s, e):
    a, kind = account(s), e.kind
    if LIMIT_CHANGED <= kind <= CASH_ADJUSTED and refusal(s, e) != NONE:
        return
    if kind == CASH_ADJUSTED:
        q = purse(s, e.code)
        q.cash += e.amount_money
        q.paid_in += e.amount_money
        paid, t = in_base(s, e.code, e.amount_money), tally(s, 0)
        a.peak += paid
        t.result, t.day_result, t.peak = t.result + paid, t.day_result + paid, t.peak + paid
    elif kind == TRADING_STATE_CHANGED:
        a.trading_state = e.setting
    elif kind == LIMIT_CHANGED:
        _fold_limit(s, e)
    elif kind == FAULT:
        a.faults += 1
        _count_error(s, e)
        book(s, e.strategy).stopped = FAILED
    elif kind == PAUSED:
        if book(s, e.strategy).stopped == RUNNING:
            book(s, e.strategy).stopped = ON_PAUSE
    elif kind == RESUMED and book(s, e.strategy).stopped == ON_PAUSE:
        book(s, e.strategy).stopped = RUNNING
        _take_result(s, e.strategy, 1)


@jit
def _count_error(s, e):
    a = account(s)
    count_recent(s, rules(s).strategies + 2, a.errors, e.ts_init)
    a.errors += 1


@jit_call
def _fold_limit(s, e):
    """A limit of the account or of a strategy; with an instrument, whether it may be traded."""
    if e.instrument >= 0:
        if e.strategy == 0:
            instrument_row(s, e.instrument).selected = LISTED if e.setting != 0 else OFF_THE_LIST
        else:
            position(s, e.strategy, e.instrument).barred = 1 - e.setting
        return
    before = limit_word(s, e.strategy, e.code).instrument
    limit_word(s, e.strategy, e.code).instrument = e.setting
    account(s).limited = account(s).guarded = 1
    if before == 0 and (e.code == DAY_LOSS or e.code == DRAWDOWN):
        _begin_guard(s, e.strategy, e.code)


@jit_call
def _begin_guard(s, strategy, field):
    """What was lost before there was a limit is not lost again; what another limit looks at goes on."""
    _take_result(s, strategy, 0)
    t = tally(s, strategy)
    if field == DAY_LOSS:
        t.day_result = t.result
    else:
        t.peak = t.result


@jit_call
def _fold_guard(s, e):
    a = account(s)
    if refusal(s, e) != NONE:
        return
    if e.kind == KILL_RESET:
        a.kill_level, a.kill_seq = 0, e.seq
        for ring in (rules(s).strategies + 1, rules(s).strategies + 2):
            for n in range(RING):
                recent(s, ring, n).instrument = TIME_MIN
        for strategy in range(rules(s).strategies + 1):
            _take_result(s, strategy, 1)  # what was lost before it is not lost again
    elif e.strategy > 0:
        if book(s, e.strategy).stopped == RUNNING:
            book(s, e.strategy).stopped = ON_PAUSE
    elif e.level > a.kill_level:
        a.kill_level, a.kill_seq = e.level, e.seq


@jit_shared
def _take_result(s, strategy, anew):
    """Note what the account is worth, or what a strategy made; `anew` 1: falls and losses count from here."""
    t = tally(s, strategy)
    t.result = equity_of(s) if strategy == 0 else result_of(s, strategy)
    if anew != 0:
        t.peak = t.day_result = t.result
    t.peak = max(t.peak, t.result)


@jit_call
def _take_results(s):
    """After a slice: results of all that is guarded, and with a new day, where it began."""
    a, day = account(s), account(s).ts // DAY
    for strategy in range(rules(s).strategies + 1):
        t, limit = tally(s, strategy), limits(s, strategy)
        if a.day != day:
            t.day_result = t.result
        if strategy == 0 or limit.max_day_loss > 0 or limit.max_drawdown > 0 or capital_of(s, strategy) > 0:
            _take_result(s, strategy, 0)
    a.day = day


@jit_call
def _fold_timer(s, e):
    """Sessions open and close, intraday positions are told to close, a day ends."""
    if e.code == DAY_END:
        _end_day(s, e)
    elif e.code == SESSION_OPEN or e.code == SESSION_CLOSE or e.code == SQUARE_OFF:
        if e.code != SESSION_CLOSE:
            account(s).square_seq = e.seq if e.code == SQUARE_OFF else 0
        for instrument in range(rules(s).instruments):
            if instrument_row(s, instrument).calendar == e.setting:
                m = market(s, instrument)
                if e.code == SQUARE_OFF:
                    m.squared_off = 1
                else:
                    m.closed = 1 if e.code == SESSION_CLOSE else 0
                    m.session_open = e.ts_event if e.code == SESSION_OPEN else m.session_open
                    m.squared_off = m.squared_off if e.code == SESSION_CLOSE else 0


@jit_call
def _end_day(s, e):
    """The day of calendar `setting` is over: its notes are made of what it charged, and funds come a day nearer."""
    for instrument in range(rules(s).instruments):
        if instrument_row(s, instrument).calendar == e.setting:
            m = market(s, instrument)
            m.delivered_before, m.delivered = m.delivered, 0
            _settle_funds(purse(s, instrument_row(s, instrument).currency), e.ts_event // DAY)
    for segment in range(1, rules(s).segments + 1):
        seg = segment_row(s, segment)
        if seg.calendar == e.setting:
            for k in range(len(seg.note)):
                seg.note[k], seg.today[k] = seg.today[k], 0
            for place in range(seg.first, seg.last):
                charge(s, place).noted, charge(s, place).turnover = charge(s, place).turnover, 0


@jit
def _settle_funds(q, day):
    """Proceeds of the day before arrive, once a day, whichever of a currency's calendars ends it first."""
    if q.settled_day < day:
        q.settled_day, q.due, q.sold = day, q.sold, 0


@jit
def _refuse_command(s, e):
    """Whether a command names what exists and sets what can be; anything else changes nothing."""
    fits = 0 < e.strategy <= rules(s).strategies
    if e.kind == CASH_ADJUSTED:
        fits = 0 <= e.code < rules(s).currencies and -MONEY_MAX < e.amount_money < MONEY_MAX
        fits = fits and -MONEY_MAX < purse(s, e.code).cash + e.amount_money < MONEY_MAX
    elif e.kind == TRADING_STATE_CHANGED:
        fits = ACTIVE <= e.setting <= HALTED
    elif e.kind == LIMIT_CHANGED:
        if e.instrument >= 0:
            known = e.instrument < rules(s).instruments and 0 <= e.strategy <= rules(s).strategies
            return NONE if known and 0 <= e.setting <= 1 else BAD_COMMAND
        fits = 0 <= e.code < LIMIT_FIELDS and 0 <= e.strategy <= rules(s).strategies
        fits = fits and 0 <= e.setting <= LIMIT_MOST[e.code]
    return NONE if fits else BAD_COMMAND


@jit
def _refuse_terms(s, e):
    fits = 0 < e.tick < PX_MAX and 0 < e.lot < QTY_MAX and 0 <= e.freeze_qty < QTY_MAX
    if instrument_row(s, e.instrument).selected == 0:
        return UNKNOWN_INSTRUMENT
    return NONE if fits else BAD_COMMAND


@jit_call
def refusal(s, e):
    """Why a report or corporate action must not change the state, Reason.NONE when it may."""
    if LIMIT_CHANGED <= e.kind <= CASH_ADJUSTED:
        return _refuse_command(s, e)
    if e.origin == EXTERNAL and is_ours(e.kind):
        return BAD_COMMAND
    if e.kind == TRIPPED:
        fits = 0 < e.strategy <= rules(s).strategies or (e.strategy == 0 and 0 < e.level <= FLATTEN)
        return NONE if fits else BAD_COMMAND
    if e.kind == KILL_RESET:
        return NONE if e.origin == EXTERNAL and account(s).kill_level > 0 else BAD_COMMAND
    if e.kind == FX_RATE:
        fits = 0 < e.currency < rules(s).currencies and 0 < e.rate < MONEY_MAX
        return NONE if fits else BAD_COMMAND
    if e.instrument < 0 or e.instrument >= rules(s).instruments:
        return UNKNOWN_INSTRUMENT
    if e.kind == SPLIT:
        fits = 0 < e.numerator < 1_000_000 and 0 < e.denominator < 1_000_000
        return NONE if fits else OVERFLOW
    if e.kind == EXPIRY:
        return NONE if 0 <= e.underlying_px < PX_MAX and market(s, e.instrument).ended == 0 else BAD_COMMAND
    if e.kind == DIVIDEND:
        return NONE if 0 <= e.amount < PX_MAX else OVERFLOW
    if e.kind == TERMS_CHANGED:
        return _refuse_terms(s, e)
    return refuse_report(s, e)


@jit
def close_slice(s):
    """End the open slice: the account's peak and deepest fall are taken once, after marks and fills."""
    a = account(s)
    follow_slice(s)
    if a.guarded != 0:
        _take_results(s)
    equity = equity_of(s)
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
