"""Strategy calls and what becomes of their signals: SIGNAL, then risk, then an order or a denial, one after the other.

Each intent is folded in before the next strategy is asked, so cash is reserved in (strategy, instrument) order.
"""

from kernel.codes import Kind, OrderType, Reason, Status, code
from kernel.events import KERNEL, VENUE_SIM, copy_terms, draft, emit, report
from kernel.evolve import RUNNING
from kernel.jit import call_program, jit, jit_call
from kernel.orders import find_slot
from kernel.rehearse import fold_answers
from kernel.risk import check
from kernel.state import HERE, HOOK_BAR, HOOK_FILL, INTENTS, PROGRAM_OK
from kernel.tables import (
    account,
    book,
    call_frame,
    equity_of,
    free_cash,
    instrument_row,
    keep_frame,
    market,
    order,
    pending_fill,
    position,
    program_of,
    rules,
)
from kernel.units import SCALE, to_units

SIGNAL, SUBMITTED, DENIED = code(Kind.SIGNAL), code(Kind.ORDER_SUBMITTED), code(Kind.ORDER_DENIED)
ACCEPTED, CANCELED = code(Kind.ORDER_ACCEPTED), code(Kind.ORDER_CANCELED)
CANCEL_SUBMITTED, FAULT = code(Kind.ORDER_CANCEL_SUBMITTED), code(Kind.STRATEGY_FAULT)
MARKET = code(OrderType.MARKET)
ST_SUBMITTED, ST_DENIED, ST_ACCEPTED = code(Status.SUBMITTED), code(Status.DENIED), code(Status.ACCEPTED)
ST_PENDING_CANCEL, ST_CANCELED = code(Status.PENDING_CANCEL), code(Status.CANCELED)
NONE, REQUESTED, EXCEPTION = code(Reason.NONE), code(Reason.REQUESTED), code(Reason.EXCEPTION)
TOO_MANY_SIGNALS, STRATEGY_STOPPED = code(Reason.TOO_MANY_SIGNALS), code(Reason.STRATEGY_STOPPED)


@jit
def call_on_bar(s, strategy, instrument):
    """Show the instrument's bar of this slice to one strategy and carry out what it asks for."""
    if book(s, strategy).stopped != RUNNING:
        return
    m, frame, a = market(s, instrument), call_frame(s), account(s)
    bar = frame.bar
    factor = m.adjustment
    bar.ts, bar.ts_open = m.ts_mark, m.ts_open
    bar.open, bar.high = m.open * factor / SCALE, m.high * factor / SCALE
    bar.low, bar.close = m.low * factor / SCALE, m.mark * factor / SCALE
    bar.volume, bar.open_interest = m.volume / factor, m.open_interest / factor
    frame.hook = HOOK_BAR
    _fill_context(s, strategy, instrument)
    code = _call(s, strategy, instrument)
    if code != PROGRAM_OK or frame.ctx.count != 0 or s.recorded != 0:
        _carry_out(s, strategy, instrument, m.bar_seq, m.ts_mark, a.ts, code)


@jit_call
def call_on_fill(s, k):
    """Tell a strategy about the k-th fill of this slice; orders it places meet the next bar."""
    f, frame = pending_fill(s, k), call_frame(s)
    if book(s, f.strategy).stopped != RUNNING:
        return
    seen = frame.fill
    seen.ts, seen.side, seen.qty, seen.order_id = f.ts, f.side, f.qty, f.order_id
    seen.price = f.px * market(s, f.instrument).adjustment / SCALE
    seen.fee = f.fee / SCALE
    frame.hook = HOOK_FILL
    _fill_context(s, f.strategy, f.instrument)
    code = _call(s, f.strategy, f.instrument)
    _carry_out(s, f.strategy, f.instrument, f.seq, account(s).ts, account(s).ts, code)


@jit
def _call(s, strategy, instrument):
    program = program_of(s, strategy)
    return call_program(program.address, program.memory + instrument * program.stride, program.frame)


@jit
def _fill_context(s, strategy, instrument):
    a, m, ctx = account(s), market(s, instrument), call_frame(s).ctx
    p = position(s, strategy, instrument)
    ctx.ts, ctx.instrument, ctx.strategy = a.ts, instrument, strategy
    ctx.position, ctx.working, ctx.working_qty = p.qty, p.open_orders, p.working_buy - p.working_sell
    ctx.pending_qty = p.pending
    ctx.ready, ctx.warming = 0, m.warm_up
    ctx.entry_price = p.cost * m.adjustment / p.qty / SCALE if p.qty != 0 else 0.0
    ctx.cash, ctx.equity = free_cash(s) / SCALE, equity_of(s) / SCALE
    ctx.tick, ctx.lot = instrument_row(s, instrument).tick * m.adjustment / SCALE, instrument_row(s, instrument).lot
    ctx.price, ctx.count = m.mark / SCALE, 0


@jit_call
def _carry_out(s, strategy, here, cause, ts_event, ts_init, code):
    """Turn the call's intents into events; an exception or too many signals stops the strategy instead.

    Of the frame only the intents are read: a strategy may have written over the rest.
    """
    ctx, warming = call_frame(s).ctx, market(s, here).warm_up
    if s.recorded != 0:
        asked = 0 if warming != 0 else 1 if code != PROGRAM_OK or ctx.count > INTENTS else ctx.count
        if fold_answers(s, strategy, cause) != asked:
            s.differing += 1
        return
    if code != PROGRAM_OK or ctx.count > INTENTS:
        keep_frame(s, strategy)
        e = draft(s, FAULT, KERNEL, cause, ts_event, ts_init)
        e.instrument, e.strategy, e.code = here, strategy, call_frame(s).hook
        e.reason = EXCEPTION if code != PROGRAM_OK else TOO_MANY_SIGNALS
        emit(s, e)
        return
    if warming != 0:  # before the run's first day memory learns and nothing is sent
        return
    for k in range(ctx.count):
        _place(s, strategy, here, ctx.intents[k], cause, ts_event, ts_init)


@jit_call
def _place(s, strategy, here, intent, cause, ts_event, ts_init):
    signal = draft(s, SIGNAL, KERNEL, cause, ts_event, ts_init)
    instrument = here if intent.instrument == HERE else intent.instrument
    known = 0 <= instrument < rules(s).instruments
    tick = max(1, instrument_row(s, instrument).tick) if known else 1  # 0: not in this run, denied below
    factor = market(s, instrument).adjustment if known else 1.0
    signal.instrument, signal.strategy, signal.side = instrument, strategy, intent.side
    signal.order_type, signal.tif, signal.ref, signal.qty = intent.order_type, intent.tif, intent.ref, intent.qty
    signal.px = to_units(intent.price / factor, tick, SCALE)
    signal.trigger_px = to_units(intent.trigger_price / factor, tick, SCALE)
    signal.value = intent.strength + 0.0 if intent.strength == intent.strength else 0.0  # no NaN, no -0.0 on tape
    emit(s, signal)
    if signal.side == 0:
        _cancel(s, signal)
    else:
        _submit(s, signal)


@jit_call
def _submit(s, signal):
    reason, reserve_px = check(s, signal)
    kind = SUBMITTED if reason == NONE else DENIED
    e = draft(s, kind, KERNEL, signal.seq, signal.ts_event, signal.ts_init)
    copy_terms(e, signal)
    e.order_id, e.ref, e.reason, e.reserve_px = e.seq, signal.seq, reason, reserve_px
    e.leaves_qty = e.qty if reason == NONE else 0
    e.status = ST_SUBMITTED if reason == NONE else ST_DENIED
    emit(s, e)
    if reason == NONE and e.order_type != MARKET and rules(s).simulate != 0:
        answer = report(s, ACCEPTED, VENUE_SIM, e, e.seq, e.ts_event, e.ts_init)
        answer.status = ST_ACCEPTED
        emit(s, answer)


@jit_call
def _cancel(s, signal):
    """Cancel one working order of this strategy (`ref`), or all it has in the instrument."""
    if signal.instrument < 0 or signal.instrument >= rules(s).instruments:
        return
    slot = market(s, signal.instrument).order_head
    if signal.ref != 0:
        slot = find_slot(s, signal.instrument, signal.ref)
    while slot >= 0:
        o = order(s, slot)
        after = -1 if signal.ref != 0 else o.next
        if o.strategy == signal.strategy and o.status != ST_PENDING_CANCEL:
            _cancel_order(s, signal, o)
        slot = after


@jit_call
def _cancel_order(s, signal, o):
    e = report(s, CANCEL_SUBMITTED, KERNEL, o, signal.seq, signal.ts_event, signal.ts_init)
    e.status, e.reason = ST_PENDING_CANCEL, REQUESTED
    emit(s, e)
    if rules(s).simulate != 0:
        answer = report(s, CANCELED, VENUE_SIM, o, e.seq, e.ts_event, e.ts_init)
        answer.status, answer.reason = ST_CANCELED, REQUESTED
        emit(s, answer)
