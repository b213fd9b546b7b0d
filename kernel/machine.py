"""The step: inputs in, everything they lead to out. The same loop for one live event and for 65,536 bars of history.

For each slice (all bars of one availability time): bars are recorded as they come and meet the orders that were
already resting; when the last one is in, marks and equity are taken once, fills are told, and strategies decide in
(strategy, instrument) order.
"""

from kernel.amounts import equity_of, in_base
from kernel.bars import is_due, is_full, write_bar
from kernel.codes import Flag, KillLevel, Kind, Product, Reason, TimerCode, code
from kernel.decide import call_on_bar, call_on_fill, call_on_tick, call_on_timer
from kernel.events import KERNEL, draft, emit
from kernel.evolve import close_slice, evolve, is_ours, open_slice, refusal
from kernel.execution import fill_charges
from kernel.guards import look_at_guards, take_back
from kernel.jit import jit, jit_call, jit_entry, jit_shared
from kernel.links import settle_links, tell_trailing
from kernel.orders import find_slot, owner_of
from kernel.regime import tell_regime
from kernel.rehearse import ANY, fold_answers, fold_rest
from kernel.reports import FIRST_REPORT, LAST_REPORT
from kernel.settle import price_expiry, send_charge, settle_contract, settle_day, settle_note, tell_balance
from kernel.slices import call_on_slice, slice_steps
from kernel.state import room_for_a_call
from kernel.submit import ALL, OPENS, cancel_position, send_close
from kernel.tables import (
    account,
    input_event,
    instrument_row,
    market,
    position,
    program_of,
    purse,
    rules,
    stand_in,
    tables_at,
    touched,
)
from kernel.ticks import match_tick
from kernel.trace import fold
from kernel.units import SHARE
from kernel.venue import end_day, end_orders, match, restate_orders

BAR, SPLIT, TERMS_CHANGED = code(Kind.BAR), code(Kind.SPLIT), code(Kind.TERMS_CHANGED)
EXPIRY, FILLED = code(Kind.EXPIRY), code(Kind.ORDER_FILLED)
TIMER, SESSION_CLOSE, DAY_END = code(Kind.TIMER), code(TimerCode.SESSION_CLOSE), code(TimerCode.DAY_END)
EQUITY, ANOMALY, RUN_ENDED = code(Kind.EQUITY), code(Kind.ANOMALY), code(Kind.RUN_ENDED)
LIMIT_CHANGED, CASH_ADJUSTED = code(Kind.LIMIT_CHANGED), code(Kind.CASH_ADJUSTED)
CANCEL_REJECTED, REPLACE_REJECTED = code(Kind.ORDER_CANCEL_REJECTED), code(Kind.ORDER_REPLACE_REJECTED)
LATE_FILL = code(Reason.LATE_FILL)
QUOTE, TRADE, BAR_CLOSE = code(Kind.QUOTE), code(Kind.TRADE), code(TimerCode.BAR_CLOSE)
TRIPPED, KILL_RESET = code(Kind.TRIPPED), code(Kind.KILL_RESET)
CANCEL_ALL, FLATTEN = code(KillLevel.CANCEL_ALL), code(KillLevel.FLATTEN)
CLOCK = code(TimerCode.CLOCK)
SQUARE_OFF, INTRADAY = code(TimerCode.SQUARE_OFF), code(Product.INTRADAY)
KILLED, FLATTENED, SQUARED_OFF = code(Reason.KILLED), code(Reason.FLATTENED), code(Reason.SQUARED_OFF)
LEFT, NOT_ALLOWED = code(Flag.LEFT), code(Reason.NOT_ALLOWED)
SLICE_END, NONE = code(Flag.SLICE_END), code(Reason.NONE)


_room = jit(room_for_a_call)


@jit
def has_room(s):
    """Whether `out` can hold the most events that the next input or strategy call can add. Nearly always it can hold
    the most there could ever be, and nothing has to be reckoned."""
    left = s.out_count - s.produced
    return left >= s.room or left >= room_needed(s)


@jit_call
def room_needed(s):
    """That most, with the orders open now."""
    r = rules(s)
    bars = r.instruments if r.bar_kind != 0 else 0
    return _room(account(s).open_orders, account(s).linked, r.strategies, bars)


@jit
def run(s, start, count):
    """Take inputs[start : start + count], give `seq` to each, and write what follows to `out`.

    Returns how many it took; `s.produced` says how much it wrote. Fewer are taken than asked when `out` could not hold
    the next one's worst case: call again with the rest. A slice whose decisions are under way then goes on where it
    stopped.
    """
    a = account(s)
    s.produced = 0
    consumed = 0
    while consumed < count and has_room(s):
        e = input_event(s, start + consumed)
        if e.kind == BAR:
            if a.cursor < 0:
                take_bar(s, e)
            if e.flags & SLICE_END:
                s.next, s.limit = start + consumed + 1, start + count
                if not decide_slice(s):
                    break
                consumed = s.next - start - 1  # with recorded rows, decisions were among them
        elif e.kind == QUOTE or e.kind == TRADE:
            s.next, s.limit = start + consumed + 1, start + count
            if not take_tick(s, e):
                break
            consumed = s.next - start - 1
        else:
            s.next, s.limit = start + consumed + 1, start + count
            if not take_other(s, e):
                break
            consumed = s.next - start - 1
        consumed += 1
    return consumed


@jit
def take_bar(s, e):
    """Record a bar, then let it meet the resting orders; the first past an equity interval's end reports that end."""
    a = account(s)
    if s.recorded == 0:
        e.seq = a.seq + 1
    if a.touched == 0 and equity_is_due(s, e):
        _take_first(s, e, e.ts_open)
    else:
        evolve(s, e)
    if s.recorded == 0:
        if e.flags & LEFT and market(s, e.instrument).order_head >= 0:
            leave(s, e)
        if rules(s).simulate != 0:
            match(s, e)


@jit
def equity_is_due(s, e):
    """Whether an input is the first past the end of an equity interval."""
    return e.ts_init >= account(s).equity_due and rules(s).equity_interval > 0 and s.recorded == 0


@jit_call
def _take_first(s, e, ts):
    """Fold an input in, with the EQUITY event of the interval that is over: values and `ts_event` from before it. `ts`
    is that of a run without a past."""
    before = account(s).ts if account(s).seq > 0 else ts
    due = draft_equity(s, e.seq, before, e.ts_init)
    evolve(s, e)
    due.seq = e.seq + 1
    emit(s, due)


@jit_call
def leave(s, e):
    """Take back what could open a position in an instrument that has left the universe."""
    for strategy in range(rules(s).strategies + 1):
        cancel_position(s, e, strategy, e.instrument, NOT_ALLOWED, OPENS)


@jit_call
def draft_equity(s, cause, ts_event, ts_init):
    a = account(s)
    e = draft(s, EQUITY, KERNEL, cause, ts_event, ts_init)
    e.equity = equity_of(s)  # a purse is converted once, as for the peak
    for currency in range(rules(s).currencies):
        q = purse(s, currency)
        e.cash += in_base(s, currency, q.cash)
        e.realized += in_base(s, currency, q.realized)
        e.unrealized += in_base(s, currency, q.market_value - q.cost)
        e.fees += in_base(s, currency, q.fees)
        e.dividends += in_base(s, currency, q.dividends)
        e.exposure += in_base(s, currency, q.exposure)
    e.peak, e.max_drawdown = a.peak, a.drawdown
    e.value = a.drawdown_share / SHARE
    return e


@jit
def decide_slice(s):
    """Guards once, then on_fill for each fill, then every strategy for every instrument that has a bar, then for all of
    them at once.

    Stops early when `out` runs short, returns False and keeps the place in `account.cursor`.
    """
    a = account(s)
    if a.cursor < 0:
        if s.recorded != 0:
            fold_answers(s, 0, 0, 0, ANY)  # fills of the slice's last bar
        close_slice(s)
        a.cursor = 0
        if s.recorded == 0:
            m = market(s, touched(s, 0).instrument)
            if look_at_guards(s, m.bar_seq, m.ts_bar, a.ts):
                cancel_all(s)
            if a.trailing > 0 and rules(s).simulate == 0:
                for k in range(a.touched):
                    m = market(s, touched(s, k).instrument)
                    if m.trailing > 0:
                        tell_trailing(s, touched(s, k).instrument, stand_in(s, m.bar_seq, m.ts_bar, a.ts))
    told, calls = a.pending_fills, rules(s).strategies * a.touched
    books, r, whole = rules(s).strategies + 1, rules(s), slice_steps(s)
    regimes = a.touched if r.regime_period != 0 and s.recorded == 0 else 0
    closing = books * r.instruments if (a.kill_level >= FLATTEN or a.square_seq > 0) and s.recorded == 0 else 0
    asked = told + calls + whole
    for place in range(a.cursor, regimes + asked + closing):
        if not has_room(s):
            a.cursor = place
            return False
        k = place - regimes
        if k < 0:
            tell_regime(s, touched(s, place).instrument)
        elif k < told:
            call_on_fill(s, k)
        elif k < told + calls:
            call_on_bar(s, (k - told) // a.touched + 1, touched(s, (k - told) % a.touched).instrument)
        elif k < asked:
            call_on_slice(s, k - told - calls)
        else:
            close_what_is_to_close(s, (k - asked) % books, (k - asked) // books)
    if s.recorded != 0:
        fold_rest(s)
    open_slice(s)
    return True


@jit_call
def take_tick(s, e):
    """Record a quote or a trade, let it meet the resting orders, tell fills, ask the strategies that decide by ticks; a
    bar it completes is a slice of its own."""
    a = account(s)
    if a.cursor < 0:
        if s.recorded == 0:
            e.seq = a.seq + 1
        left_out = market(s, e.instrument).bad + market(s, e.instrument).late
        evolve(s, e)
        if market(s, e.instrument).bad + market(s, e.instrument).late > left_out:
            return True
        if s.recorded != 0:
            fold_answers(s, 0, 0, 0, ANY)
        elif rules(s).simulate != 0 and market(s, e.instrument).order_head >= 0:
            match_tick(s, e)
        close_slice(s)
        if s.recorded == 0 and look_at_guards(s, e.seq, e.ts_event, e.ts_init):
            cancel_all(s)
        a.cursor, a.phase = 0, 0
    if a.phase == 0:
        if not _tell_tick(s, e):
            return False
        a.pending_fills, a.cursor = 0, -1
        if s.recorded != 0 or not is_full(s, e.instrument, e.ts_event):
            return True
        a.phase = 1
        _close_bar(s, e, e.instrument, True)
    while _decide_bars(s):
        if not is_full(s, e.instrument, e.ts_event):
            return True
        a.phase = 1  # the trade proves the bar after it over, too
        _close_bar(s, e, e.instrument, True)
    return False


@jit_call
def _tell_tick(s, e):
    """Fills, then every strategy that decides by ticks; False when `out` runs short."""
    a = account(s)
    told, strategies = a.pending_fills, rules(s).strategies
    closing = strategies + 1 if a.kill_level >= FLATTEN and s.recorded == 0 else 0
    for k in range(a.cursor, told + strategies + closing):
        if not has_room(s):
            a.cursor = k
            return False
        if k < told:
            call_on_fill(s, k)
        elif k < told + strategies:
            call_on_tick(s, k - told + 1, e)
        else:
            flatten(s, k - told - strategies, e.instrument)
    return True


@jit_call
def _decide_bars(s):
    """Decide the slice of the bars that a tick or a timer closed."""
    a = account(s)
    if not decide_slice(s):
        return False
    a.phase = 0
    return True


@jit_shared
def _close_bar(s, cause, instrument, ends):
    e = draft(s, BAR, KERNEL, cause.seq, cause.ts_event, cause.ts_init)
    write_bar(s, e, instrument)
    e.flags = SLICE_END if ends else 0
    emit(s, e)


@jit_call
def close_bars(s, timer):
    """Close every bar whose time is over; returns whether there was any."""
    last = -1
    for instrument in range(rules(s).instruments):
        if is_due(s, instrument, timer):
            last = instrument
    for instrument in range(last + 1):
        if is_due(s, instrument, timer):
            _close_bar(s, timer, instrument, instrument == last)
    return last >= 0


@jit_call
def take_other(s, e):
    """Anything that is not a bar: corporate actions, venue reports, commands, timers."""
    if s.recorded != 0:
        if e.kind == RUN_ENDED:
            close_slice(s)
        evolve(s, e)
        if is_told(s, e):
            _tell_recorded(s, e)
        return True
    if account(s).cursor >= 0:
        return _decide_bars(s) if account(s).phase != 0 else sweep(s, e)
    e.seq = account(s).seq + 1
    command, reported = LIMIT_CHANGED <= e.kind <= CASH_ADJUSTED, FIRST_REPORT <= e.kind <= LAST_REPORT
    guards = e.kind == TRIPPED or e.kind == KILL_RESET
    if command or SPLIT <= e.kind <= TERMS_CHANGED or reported or guards or is_ours(e.kind):
        reason = refusal(s, e)
        if reason != NONE:
            evolve(s, e)
            notice = draft(s, ANOMALY, KERNEL, e.seq, e.ts_event, e.ts_init)
            notice.instrument, notice.strategy, notice.order_id = e.instrument, e.strategy, e.order_id
            notice.reason = reason
            emit(s, notice)
            return True
    if e.kind == SPLIT:
        e.settle_px = market(s, e.instrument).mark
    elif e.kind == EXPIRY:
        price_expiry(s, e)
    elif e.kind == RUN_ENDED:
        close_slice(s)
    if reported:
        _take_report(s, e)
        return True
    market_only = SPLIT <= e.kind <= TERMS_CHANGED or e.kind == TIMER  # what moves the account between two bars
    if market_only and account(s).bars > 0 and equity_is_due(s, e):
        _take_first(s, e, e.ts_init)
    else:
        evolve(s, e)
    if e.kind == EXPIRY:
        _end_contract(s, e)
    elif e.kind == SPLIT and rules(s).simulate != 0:
        restate_orders(s, e)
    elif e.kind == TIMER and e.code == SESSION_CLOSE and rules(s).simulate != 0:
        end_day(s, e)
    elif e.kind == RUN_ENDED:
        emit(s, draft_equity(s, e.seq, e.ts_event, e.ts_init))
        for currency in range(rules(s).currencies):
            tell_balance(s, e, currency)
    elif e.kind == TRIPPED and e.strategy > 0:
        take_back(s, e, e.strategy)
    elif e.kind == TRIPPED:
        cancel_all(s)
    elif e.kind == TIMER and e.code == BAR_CLOSE and close_bars(s, e):
        account(s).phase = 1
        return _decide_bars(s)
    flattens = e.kind == TRIPPED and account(s).kill_level >= FLATTEN
    if flattens or (e.kind == TIMER and (e.code == DAY_END or e.code == SQUARE_OFF)) or is_told(s, e):
        account(s).cursor = 0
        return sweep(s, e)
    return True


@jit
def is_told(s, e):
    """Whether strategies hear of an input that is a timer."""
    return e.kind == TIMER and program_of(s, 0).on_timer != 0 and (e.code <= SQUARE_OFF or e.code >= CLOCK)


@jit_call
def _tell_recorded(s, e):
    fold_answers(s, 0, e.seq, 0, ANY)  # what the timer itself led to
    for strategy in range(1, rules(s).strategies + 1):
        for instrument in range(rules(s).instruments):
            call_on_timer(s, strategy, instrument, e)
        if fold_answers(s, strategy, e.seq, 0, ANY) != 0:  # none of its calls asked for these
            s.differing += 1
    fold_rest(s)


@jit_call
def cancel_all(s):
    """Ask for the cancel of every working order, or at the lower levels of the kill switch, of those that may open."""
    a = account(s)
    which = ALL if a.kill_level >= CANCEL_ALL else OPENS
    if a.kill_level == 0:
        return
    cause = stand_in(s, a.kill_seq, a.ts, a.ts)
    for instrument in range(rules(s).instruments):
        if market(s, instrument).order_head >= 0:
            for strategy in range(rules(s).strategies + 1):
                cancel_position(s, cause, strategy, instrument, KILLED, which)


@jit_shared
def flatten(s, strategy, instrument):
    """Close a position for which nothing works, once the kill switch has taken all orders back."""
    a = account(s)
    if position(s, strategy, instrument).open_orders == 0:
        send_close(s, a.kill_seq, a.ts, a.ts, strategy, instrument, FLATTENED)


@jit_call
def close_what_is_to_close(s, strategy, instrument):
    """After a slice: what the kill switch, or the end of intraday trading, has not closed yet."""
    a, p = account(s), position(s, strategy, instrument)
    if p.qty == 0 or p.open_orders > 0:
        return
    if a.kill_level >= FLATTEN:
        flatten(s, strategy, instrument)
    elif market(s, instrument).squared_off != 0 and p.product == INTRADAY:
        send_close(s, a.square_seq, a.ts, a.ts, strategy, instrument, SQUARED_OFF)


@jit_call
def square_off(s, e, strategy, instrument):
    """Close an intraday position of the calendar whose time has come, and take back what works for it."""
    p = position(s, strategy, instrument)
    if instrument_row(s, instrument).calendar != e.setting or p.product != INTRADAY:
        return
    if p.open_orders > 0:
        cancel_position(s, e, strategy, instrument, SQUARED_OFF, ALL)
    send_close(s, e.seq, e.ts_event, e.ts_init, strategy, instrument, SQUARED_OFF)


@jit_call
def _take_report(s, e):
    """What a venue says: the state, the charges of a fill, what hangs on the order."""
    strategy = owner_of(s, e.instrument, e.order_id)  # whatever the report says
    lines = fill_charges(s, e) if e.kind == FILLED else (0, 0, 0, 0, 0, 0, 0, 0)
    late = e.kind == FILLED and (find_slot(s, e.instrument, e.order_id) < 0 or market(s, e.instrument).ended != 0)
    evolve(s, e)
    send_charge(s, e, strategy, e.instrument, e.order_id, lines)
    if e.kind != CANCEL_REJECTED and e.kind != REPLACE_REJECTED:  # what was refused is not asked for again at once
        settle_links(s, strategy, e.instrument, e)
    if late:
        notice = draft(s, ANOMALY, KERNEL, e.seq, e.ts_event, e.ts_init)
        notice.instrument, notice.strategy, notice.order_id = e.instrument, strategy, e.order_id
        notice.qty, notice.reason = e.qty, LATE_FILL
        emit(s, notice)


@jit_call
def _end_contract(s, e):
    """A contract has expired: its orders go, its positions are settled."""
    row = instrument_row(s, e.instrument)
    if rules(s).simulate != 0:
        end_orders(s, e)
    for strategy in range(rules(s).strategies + 1):
        settle_contract(s, e, strategy)
        if row.underlying >= 0:
            settle_links(s, strategy, row.underlying, e)  # its exits close no more than is left


@jit_call
def sweep(s, e):
    """What an event does to every position in turn, and what strategies do that are told of it; stops early and returns
    False when `out` runs short."""
    a, r = account(s), rules(s)
    books = r.strategies + 1
    closes = e.kind == TRIPPED or e.code == DAY_END or e.code == SQUARE_OFF
    positions = r.instruments * books if closes else 0
    calls = positions + r.segments + r.currencies if e.kind == TIMER and e.code == DAY_END else positions
    told = r.strategies * r.instruments if is_told(s, e) else 0
    for k in range(a.cursor, calls + told):
        if not has_room(s):
            a.cursor = k
            return False
        if e.kind == TRIPPED:
            flatten(s, k % books, k // books)
        elif k >= calls:
            call_on_timer(s, (k - calls) // r.instruments + 1, (k - calls) % r.instruments, e)
        elif e.code == SQUARE_OFF:
            square_off(s, e, k % books, k // books)
        elif k < positions:
            settle_day(s, e, k % books, k // books)
        elif k < positions + r.segments:
            settle_note(s, e, k - positions + 1)
        else:
            tell_balance(s, e, k - positions - r.segments)
    a.cursor = -1
    return True


@jit_entry
def run_at(address, start, count, traces):
    """The one function Python calls: `run` on the state whose TABLES record is at `address`; with an address in
    `traces`, `fold`. One entry, so that one compilation serves both."""
    s = tables_at(address)
    if traces != 0:
        return fold(s, start, count, traces)
    return run(s, start, count)
