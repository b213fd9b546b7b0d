"""The step: inputs in, everything they lead to out. The same loop for one live event and for 65,536 bars of history.

For each slice (all bars of one availability time): bars are recorded as they come and meet the orders that were
already resting; when the last one is in, marks and equity are taken once, fills are told, and strategies decide in
(strategy, instrument) order.
"""

from kernel.codes import Flag, Kind, Reason, TimerCode, code
from kernel.decide import call_on_bar, call_on_fill
from kernel.events import KERNEL, draft, emit
from kernel.evolve import close_slice, evolve, open_slice, refusal
from kernel.jit import jit, jit_call, jit_entry
from kernel.links import settle_links
from kernel.orders import owner_of
from kernel.rehearse import fold_answers, fold_rest
from kernel.reports import FIRST_REPORT, LAST_REPORT
from kernel.state import room_for_a_call
from kernel.tables import account, equity_of, input_event, market, rules, tables_at, touched
from kernel.trace import fold
from kernel.units import SHARE
from kernel.venue import end_day, match, restate_orders

BAR, SPLIT, DIVIDEND = code(Kind.BAR), code(Kind.SPLIT), code(Kind.DIVIDEND)
TIMER, SESSION_CLOSE = code(Kind.TIMER), code(TimerCode.SESSION_CLOSE)
EQUITY, ANOMALY, RUN_ENDED = code(Kind.EQUITY), code(Kind.ANOMALY), code(Kind.RUN_ENDED)
LIMIT_CHANGED, CASH_ADJUSTED = code(Kind.LIMIT_CHANGED), code(Kind.CASH_ADJUSTED)
SLICE_END, NONE = code(Flag.SLICE_END), code(Reason.NONE)


_room = jit(room_for_a_call)


@jit
def room_needed(s):
    """Most events the next input or strategy call can add, with the orders open now."""
    return _room(account(s).open_orders, account(s).linked)


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
    while consumed < count and s.out_count - s.produced >= room_needed(s):
        e = input_event(s, start + consumed)
        if e.kind == BAR:
            if a.cursor < 0:
                take_bar(s, e)
            if e.flags & SLICE_END:
                s.next, s.limit = start + consumed + 1, start + count
                if not decide_slice(s):
                    break
                consumed = s.next - start - 1  # with recorded rows, decisions were among them
        else:
            take_other(s, e)
        consumed += 1
    return consumed


@jit
def take_bar(s, e):
    """Record a bar, then let it meet the resting orders; the first past an equity interval's end reports that end."""
    a = account(s)
    if s.recorded == 0:
        e.seq = a.seq + 1
    if a.touched == 0 and rules(s).equity_interval > 0 and e.ts_init >= a.equity_due and s.recorded == 0:
        _take_first_bar(s, e)
    else:
        evolve(s, e)
    if rules(s).simulate != 0 and s.recorded == 0:
        match(s, e)


@jit_call
def _take_first_bar(s, e):
    """As `take_bar`, with the EQUITY event of the interval that is over: values and `ts_event` from before this bar."""
    before = account(s).ts if account(s).seq > 0 else e.ts_open
    due = draft_equity(s, e.seq, before, e.ts_init)
    evolve(s, e)
    due.seq = e.seq + 1
    emit(s, due)


@jit_call
def draft_equity(s, cause, ts_event, ts_init):
    a = account(s)
    e = draft(s, EQUITY, KERNEL, cause, ts_event, ts_init)
    e.equity, e.cash = equity_of(s), a.cash
    e.realized, e.unrealized = a.realized, a.market_value - a.cost
    e.fees, e.dividends, e.exposure = a.fees, a.dividends, a.exposure
    e.peak, e.max_drawdown = a.peak, a.drawdown
    e.value = a.drawdown_share / SHARE
    return e


@jit
def decide_slice(s):
    """Guards once, then on_fill for each fill, then every strategy for every instrument that has a bar.

    Stops early when `out` runs short, returns False and keeps the place in `account.cursor`.
    """
    a = account(s)
    if a.cursor < 0:
        if s.recorded != 0:
            fold_answers(s, 0, 0)  # fills of the slice's last bar
        close_slice(s)
        a.cursor = 0
    told = a.pending_fills
    calls = told + rules(s).strategies * a.touched
    for k in range(a.cursor, calls):
        if s.out_count - s.produced < room_needed(s):
            a.cursor = k
            return False
        if k < told:
            call_on_fill(s, k)
        else:
            strategy, place = (k - told) // a.touched + 1, (k - told) % a.touched
            call_on_bar(s, strategy, touched(s, place).instrument)
    if s.recorded != 0:
        fold_rest(s)
    open_slice(s)
    return True


@jit_call
def take_other(s, e):
    """Anything that is not a bar: corporate actions, venue reports, commands, timers."""
    if s.recorded != 0:
        if e.kind == RUN_ENDED:
            close_slice(s)
        evolve(s, e)
        return
    e.seq = account(s).seq + 1
    command, reported = LIMIT_CHANGED <= e.kind <= CASH_ADJUSTED, FIRST_REPORT <= e.kind <= LAST_REPORT
    if command or e.kind == SPLIT or e.kind == DIVIDEND or reported:
        reason = refusal(s, e)
        if reason != NONE:
            evolve(s, e)
            notice = draft(s, ANOMALY, KERNEL, e.seq, e.ts_event, e.ts_init)
            notice.instrument, notice.strategy, notice.order_id = e.instrument, e.strategy, e.order_id
            notice.reason = reason
            emit(s, notice)
            return
    if e.kind == SPLIT:
        e.settle_px = market(s, e.instrument).mark
    elif e.kind == RUN_ENDED:
        close_slice(s)
    strategy = owner_of(s, e.instrument, e.order_id) if reported else 0  # whatever the report says
    evolve(s, e)
    if reported:
        settle_links(s, strategy, e.instrument, e)
    elif e.kind == SPLIT and rules(s).simulate != 0:
        restate_orders(s, e)
    elif e.kind == TIMER and e.code == SESSION_CLOSE and rules(s).simulate != 0:
        end_day(s, e)
    elif e.kind == RUN_ENDED:
        emit(s, draft_equity(s, e.seq, e.ts_event, e.ts_init))


@jit_entry
def run_at(address, start, count, traces):
    """The one function Python calls: `run` on the state whose TABLES record is at `address`; with an address in
    `traces`, `fold`. One entry, so that one compilation serves both."""
    s = tables_at(address)
    if traces != 0:
        return fold(s, start, count, traces)
    return run(s, start, count)
